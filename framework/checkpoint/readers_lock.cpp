#include "checkpoint/readers_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace lawa {
namespace fs = std::filesystem;
namespace {

bool set_lock(int descriptor, short type, bool wait) {
  struct flock whole {};
  whole.l_type = type;
  whole.l_whence = SEEK_SET;
  return ::fcntl(descriptor, wait ? F_SETLKW : F_SETLK, &whole) == 0;
}

/// The lock file that guards a place: in itself, above it, or above its folder.
fs::path guard_of(const fs::path& place) {
  if (place.empty()) return {};  // names nothing, and not the present folder
  std::error_code unknown;
  const fs::path whole = fs::absolute(place, unknown).lexically_normal();
  for (const fs::path& run : {whole, whole.parent_path(), whole.parent_path().parent_path()})
    if (fs::exists(run / readers_lock_name, unknown)) return run / readers_lock_name;
  return {};
}

}  // namespace

ReadersLock::ReadersLock(const Communicator& comm, const std::vector<std::string>& places) {
  comm.on_root([&] {
    std::set<fs::path> guards;
    for (const std::string& place : places) guards.insert(guard_of(place));
    guards.erase(fs::path());
    for (const fs::path& guard : guards) {
      const int opened = ::open(guard.c_str(), O_RDONLY | O_CLOEXEC);
      if (opened < 0) continue;  // of another user, who lets nobody read it: nor his checkpoints
      set_lock(opened, F_RDLCK, true);  // waits for a removal under way
      descriptors_.push_back(opened);
    }
  });
}
ReadersLock::~ReadersLock() {
  for (const int descriptor : descriptors_) ::close(descriptor);
}

Readers::Readers(const fs::path& run) {
  const fs::path path = run / readers_lock_name;
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  LAWA_CHECK_SYSTEM(descriptor_ >= 0, path.string(), ": can't be opened");
}
Readers::~Readers() { ::close(descriptor_); }

Readers::Found Readers::lock() const {
  if (set_lock(descriptor_, F_WRLCK, false)) return Found::none;
  return errno == EACCES || errno == EAGAIN ? Found::some : Found::unknown;
}
void Readers::unlock() const { set_lock(descriptor_, F_UNLCK, false); }

}  // namespace lawa
