// How fast the file system of a folder takes and gives bytes, and how much room it has.
#pragma once
#include <cstdint>
#include <filesystem>

namespace lawa {

/// The path itself, or the nearest folder above it that is there: where it will lie. Errors: none is there, or it is a file.
std::filesystem::path nearest_folder(const std::filesystem::path& path);

/// Bytes that this user may still write where `path` is or will lie, as the file system says it; a quota may allow less. Errors: it
/// can't be asked.
int64_t free_bytes(const std::filesystem::path& path);

/// How much a probe may write, and for about how long it may write and read.
struct ProbeLimits {
  int64_t bytes = int64_t{256} << 20;
  double seconds = 3;
};

/// What one process got from a file system. Several processes may get more of it together.
struct FileSystemRates {
  double write_bytes_per_second = 0;  ///< of the last and largest piece, made durable by fsync
  double read_bytes_per_second = 0;   ///< after the system was told to forget what was written; where it doesn't, memory's
  int64_t bytes = 0;                  ///< that were written and read
};

/// Writes numbers that don't compress, and reads them back. The file loses its name as soon as it is made: it is gone when this
/// returns, throws or is killed. It takes at most half of the free bytes. Errors name the folder: it can't be written, it is full.
FileSystemRates probe_file_system(const std::filesystem::path& folder, const ProbeLimits& limits = {});

}  // namespace lawa
