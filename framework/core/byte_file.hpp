// A file whose bytes are read and written at their places, by plain system calls.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <span>

namespace lawa {

/// What differs when a file's bytes do. Times in nanoseconds since 1970.
struct FileStamp {
  int64_t bytes = 0, modified = 0, changed = 0;  ///< changed: also by a rename, a new link, new permissions
  uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};

/// Errors: it can't be reached, or isn't a regular file (nor a link to one): opening a pipe may wait for ever.
void check_is_file(const std::filesystem::path& path, bool may_be_missing = false);

/// Open as long as the object lives. Errors name the file, and the system's reason.
class ByteFile {
 public:
  /// update: of a file that is there; create: an older file of that name is emptied; append: whatever is written goes to its end
  enum class Mode { read, update, create, append };
  /// Errors: check_is_file's; it can't be opened.
  ByteFile(const std::filesystem::path& path, Mode mode);
  ~ByteFile();
  ByteFile(ByteFile&& other) noexcept;
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Bytes that the file has.
  int64_t size() const;
  FileStamp stamp() const;
  /// Errors: fewer bytes are there.
  void read(int64_t offset, std::span<std::byte> out) const;
  /// Errors: a full disk, say.
  void write(int64_t offset, std::span<const std::byte> bytes) const;
  /// The system begins to bring these written bytes to the disk and doesn't wait for it. Advice: not every system takes it.
  void begin_writing_back(int64_t offset, int64_t bytes) const;
  /// Waits until these written bytes are on the disk, has the system forget its copy of them and begin to read them from there. What
  /// a system doesn't do of it, it leaves out. Errors: the disk refused them.
  void bring_back(int64_t offset, int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Files that are used by turns, opened at the first use; the last ones used stay open.
class OpenFiles {
 public:
  explicit OpenFiles(size_t most = 200, ByteFile::Mode mode = ByteFile::Mode::update) : most_(most), mode_(mode) {}
  /// Valid until the next call. Errors: it can't be opened.
  const ByteFile& operator[](const std::filesystem::path& path);

 private:
  size_t most_;
  ByteFile::Mode mode_;
  std::list<ByteFile> files_{};  ///< the one used last in front
  std::map<std::filesystem::path, std::list<ByteFile>::iterator> by_path_{};
};

/// Lets this process open as many files as the system allows it. Returns how many these are; where it isn't granted, the old limit.
size_t raise_open_file_limit();

}  // namespace lawa
