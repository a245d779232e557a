// One process at a time in a folder.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/owner_file.hpp"

namespace lawa {

/// How a lock is waited for that another process holds.
struct LockPatience {
  double seconds = 0;                                    ///< 0: not at all
  std::string key = {};                                  ///< of the config, that says so
  std::function<void(const std::string&)> say = {};      ///< is told that it waits, and for whom; and where there are no locks
  bool stops = true;                                     ///< a request to stop ends the waiting
};

/// Holds a lock file as long as it lives; a process that ends, however it does, leaves no lock behind. Its holder's host, process and
/// job stand in the file. On a file system without locks <file>.owner stands for one (OwnerFile).
class FileLock {
 public:
  enum class End { keep, remove };  ///< what becomes of the file itself
  /// Errors: another process holds it (named, as far as that is known), and does when the patience ends; the file can't be made; Stopped.
  explicit FileLock(const std::filesystem::path& path, End end = End::keep, const LockPatience& patience = {});
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// Errors: another process has taken the folder over, as this one hadn't given a sign of life for a minute. `now`: looks at the disk;
  /// else as far as is known, which may be ten seconds old and costs nothing.
  void check(bool now = false) const;

 private:
  std::string try_to_lock(const LockPatience& patience);

  std::filesystem::path path_;
  End end_;
  int descriptor_ = -1;
  std::unique_ptr<OwnerFile> owner_;  ///< on a file system without locks
};

/// The right to write step_… files in a folder, which is made if need be: of all processes one has it. What a killed one has left of
/// such files (step_….part) is removed. Errors: FileLock's.
std::unique_ptr<FileLock> lock_to_write(const std::filesystem::path& folder, const LockPatience& patience = {});

}  // namespace lawa
