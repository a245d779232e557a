// A file whose bytes are read and written at their places, by plain system calls.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>

namespace lawa {

/// How many files this process may have open at a time; the system's own limit, which is asked for first.
size_t open_file_limit();
/// How many more it may open, but for a few.
size_t files_to_open();

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
  ByteFile& operator=(ByteFile&& other) noexcept;
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Closes it now. Errors: the system's, which some file systems report of what was written here and nowhere else.
  void close();
  /// Bytes that the file has.
  int64_t size() const;
  FileStamp stamp() const;
  /// Errors: fewer bytes are there.
  void read(int64_t offset, std::span<std::byte> out) const;
  /// As many as there are, at most out.size(): how many, 0 at the end.
  size_t read_some(int64_t offset, std::span<std::byte> out) const;
  /// Errors: a full disk, say.
  void write(int64_t offset, std::span<const std::byte> bytes) const;
  /// Makes the file so long, with room on the disk for all of it where the file system can promise that. Errors: a full disk, a quota.
  void reserve(int64_t bytes) const;
  /// Waits until all that was written survives a power cut: fsync. Errors: the disk refused it.
  void make_durable() const;
  /// The system begins to bring these written bytes to the disk and doesn't wait for it. Advice: not every system takes it.
  void begin_writing_back(int64_t offset, int64_t bytes) const;
  /// Waits until these written bytes are on the disk, has the system forget its copy of them and begin to read them from there. What
  /// a system doesn't do of it, it leaves out. Errors: the disk refused them.
  void bring_back(int64_t offset, int64_t bytes) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Files that are used by turns and opened at the first use. As many as the process may have open stay so; what comes after those
/// is opened again at each use.
class OpenFiles {
 public:
  /// Two fifths of what the process may still open: two of these fit, and more of the libraries' files and sockets beside them.
  explicit OpenFiles(ByteFile::Mode mode, size_t most = files_to_open() * 2 / 5) : mode_(mode), most_(most) {}
  /// Valid until the next call. Errors: it can't be opened.
  const ByteFile& operator[](const std::filesystem::path& path);
  /// Closes those that are open. Errors: ByteFile::close's.
  void close_all();

 private:
  ByteFile::Mode mode_;
  size_t most_;
  std::map<std::filesystem::path, ByteFile> files_{};
  std::optional<ByteFile> last_{};  ///< one that isn't among them
};

}  // namespace lawa
