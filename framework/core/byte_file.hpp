// A file whose bytes are read and written at their places, by plain system calls.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace lawa {

/// Open as long as the object lives. Errors name the file.
class ByteFile {
 public:
  enum class Mode { read, write, create };  ///< create: an older file of that name is emptied
  /// Errors: it can't be opened.
  ByteFile(const std::filesystem::path& path, Mode mode);
  ~ByteFile();
  ByteFile(ByteFile&& other) noexcept;
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Bytes that the file has.
  int64_t size() const;
  /// Errors: fewer bytes are there.
  void read(int64_t offset, std::span<std::byte> out) const;
  /// Errors: a full disk, say.
  void write(int64_t offset, std::span<const std::byte> bytes) const;
  /// The system begins to bring these written bytes to the disk and doesn't wait for it. Advice: not every system takes it.
  void begin_writing_back(int64_t offset, int64_t bytes) const;
  /// Waits until these written bytes are on the disk, has the system forget its copy of them and begin to read them from there. What
  /// a system doesn't do of it, it leaves out.
  void bring_back(int64_t offset, int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace lawa
