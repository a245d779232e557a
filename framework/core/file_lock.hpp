// One process at a time in a folder.
#pragma once
#include <filesystem>

namespace lawa {

/// Holds a lock file as long as it lives; a process that ends, however it does, leaves none behind. On a file system without locks
/// it holds nothing.
class FileLock {
 public:
  enum class End { keep, remove };  ///< what becomes of the file itself
  /// Errors: another process holds it (named by its pid where that is known); the file can't be made.
  explicit FileLock(const std::filesystem::path& path, End end = End::keep);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::filesystem::path path_;
  End end_;
  int descriptor_ = -1;
};

}  // namespace lawa
