// The formats of weights files. What one does with a file goes through these functions, whatever its format.
#pragma once
#include "checkpoint/placed_file.hpp"

namespace lawa {

struct WeightsFormat {
  const char* ending;  ///< of its files, behind step_00001000

  /// Opens a file; on one rank. Errors: damage, as far as it can be seen without reading the numbers; not of this format.
  PlacedFile (*open)(const std::filesystem::path& file);
  /// True when the file is there and its writer was done with it.
  bool (*is_committed)(const std::filesystem::path& file);
  /// Creates part_of(file) for an average: like its newest member, with what `description` says of it, and everything but the numbers.
  /// On one rank. Errors: a full disk, say; then nothing stays.
  PlacedFile (*lay_out)(const std::filesystem::path& file, const std::filesystem::path& newest, const Json& description,
                        NumberFormat numbers);
  /// Completes part_of(file), whose numbers have these checksums, and gives it its name; durably, if asked to. On one rank.
  void (*seal)(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably);
};

/// The header of an average whose newest member has the header `newest`.
FlatHeader header_of_average(FlatHeader newest, const Json& description);

/// By a file's name: .safetensors, else this program's own.
const WeightsFormat& format_of(const std::filesystem::path& file);

}  // namespace lawa
