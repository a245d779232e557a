#include "core/file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.hpp"

namespace lawa {
namespace {

/// True when the descriptor's file is still the one that has this name: its last holder may just have removed it.
bool is_still(int descriptor, const std::filesystem::path& path) {
  struct stat held {}, named {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/// Takes the lock of an open file; -1 on a file system without locks. Errors: another process holds it.
int locked(int descriptor, const std::filesystem::path& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor, F_SETLK, &whole) == 0) return descriptor;
  const int error = errno;
  struct flock holder = whole;
  const bool known = ::fcntl(descriptor, F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
  ::close(descriptor);
  LAWA_CHECK(error != EACCES && error != EAGAIN, path.string(), ": another process is running in this folder",
             known && holder.l_pid > 0 ? " (pid " + std::to_string(holder.l_pid) + ")" : "", "; wait for it or end it");
  return -1;
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, End end) : path_(path), end_(end) {
  for (;;) {
    const int opened = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    LAWA_CHECK(opened >= 0, path.string(), ": can't be opened: ", std::strerror(errno));
    descriptor_ = locked(opened, path);
    if (descriptor_ < 0 || is_still(descriptor_, path)) return;
    ::close(descriptor_);
  }
}

FileLock::~FileLock() {
  std::error_code ignored;
  if (end_ == End::remove) std::filesystem::remove(path_, ignored);  // while it is held
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace lawa
