// A file whose bytes are read and written at their places, by plain system calls.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <span>

namespace lawa {

/// Open as long as the object lives. Errors name the file.
class ByteFile {
 public:
  enum class Mode { read, update, create };  ///< update: of a file that is there; create: the same, an older file of that name is emptied
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
  /// Waits until all that was written survives a power cut: fsync. Errors: the disk refused it.
  void make_durable() const;
  /// The system begins to bring these written bytes to the disk and doesn't wait for it. Advice: not every system takes it.
  void begin_writing_back(int64_t offset, int64_t bytes) const;
  /// Waits until these written bytes are on the disk, has the system forget its copy of them and begin to read them from there. What
  /// a system doesn't do of it, it leaves out. Errors: the disk refused them.
  void bring_back(int64_t offset, int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Files that are written to and read from by turns, opened at the first use; the last ones used stay open.
class OpenFiles {
 public:
  explicit OpenFiles(size_t most = 200) : most_(most) {}
  /// Valid until the next call. Errors: it can't be opened.
  const ByteFile& operator[](const std::filesystem::path& path);

 private:
  size_t most_;
  std::list<ByteFile> files_{};  ///< the one used last in front
  std::map<std::filesystem::path, std::list<ByteFile>::iterator> by_path_{};
};

/// Lets this process open as many files as the system allows it.
void raise_open_file_limit();

}  // namespace lawa
