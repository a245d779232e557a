#include "core/file_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/activity.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/stop_request.hpp"
#include "core/timer.hpp"

namespace lawa {
namespace {

constexpr auto try_again_after = std::chrono::milliseconds(200);

/// True when the descriptor's file is still the one that has this name: its last holder may just have removed it.
bool is_still(int descriptor, const std::filesystem::path& path) {
  struct stat held {}, named {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

struct flock whole_file() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return whole;
}

/// Who holds the lock, in brackets, or "": as the file says, where the system names no other process.
std::string holder_of(int descriptor) {
  struct flock holder = whole_file();
  const bool known = ::fcntl(descriptor, F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK && holder.l_pid > 0;
  const std::string pid = known ? "pid " + std::to_string(holder.l_pid) : "";
  std::array<char, 512> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  const std::string name = holder_name(std::string(text.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))));
  return !known || name.starts_with(pid + " ") ? name : pid;
}

/// Others read it there.
void sign(int descriptor) {
  const std::string words = holder_words() + "\n";
  if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, words.data(), words.size(), 0);
}

/// A file that never got its name, or what Open MPI's MPI-IO keeps beside one (.part.data.RANK, .part.metadata.RANK).
bool is_part(const std::string& name) {
  const bool of_mpi_io = name.find(".part.data.") != std::string::npos || name.find(".part.metadata.") != std::string::npos;
  return name.starts_with("step_") && (name.ends_with(".part") || of_mpi_io);
}

std::string running(const std::filesystem::path& path, const std::string& holder) {
  return path.string() + ": another process is running in this folder" + (holder.empty() ? "" : " (" + holder + ")");
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, End end, const LockPatience& patience) : path_(path), end_(end) {
  const Stopwatch clock;
  std::string waited;
  for (std::string held; !(held = try_to_lock(patience)).empty();) {
    LAWA_CHECK(clock.seconds() < patience.seconds, held, waited, "; wait for it or end it");
    if (waited.empty() && patience.say) patience.say(concat(held, "; waiting up to ", patience.seconds, " s for it (", patience.key, ")"));
    waited = concat(", for ", patience.seconds, " s now (", patience.key, ")");
    if (patience.stops) stop_if_requested();
    note_change();
    std::this_thread::sleep_for(try_again_after);
  }
}

/// "" when it is held now, else who else holds it.
std::string FileLock::try_to_lock(const LockPatience& patience) {
  for (;;) {
    const int opened = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    LAWA_CHECK_SYSTEM(opened >= 0, path_.string(), ": can't be opened");
    const struct flock whole = whole_file();
    const int error = ::fcntl(opened, F_SETLK, &whole) == 0 ? 0 : errno;
    if (error == 0 && is_still(opened, path_)) {
      descriptor_ = opened;
      sign(opened);
      return "";
    }
    const std::string holder = error == 0 ? "" : holder_of(opened);
    ::close(opened);
    if (error == 0) continue;
    if (error == EACCES || error == EAGAIN) return running(path_, holder);
    const std::filesystem::path owner = path_.string() + ".owner";
    std::string words;
    owner_ = OwnerFile::take(owner, words);
    if (!owner_) return running(owner, holder_name(words));
    if (patience.say) patience.say(concat(path_.string(), ": THIS FILE SYSTEM HAS NO LOCKS (", std::strerror(error), "): ", owner.string(),
                                          ", renewed every ", OwnerFile::renewed_every.count(), " s, stands for one"));
    return "";
  }
}

void FileLock::check(bool now) const {
  LAWA_CHECK(!owner_ || !owner_->lost(now), path_.string(), ".owner: another process has taken over, as this one had not renewed it for ",
             OwnerFile::stale_after.count(), " s");
}

FileLock::~FileLock() {
  std::error_code ignored;
  if (end_ == End::remove) std::filesystem::remove(path_, ignored);  // while it is held
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::unique_ptr<FileLock> lock_to_write(const std::filesystem::path& folder, const LockPatience& patience) {
  make_folder(folder);
  auto lock = std::make_unique<FileLock>(folder / "writer.lock", FileLock::End::remove, patience);
  std::vector<std::filesystem::path> parts;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (is_part(entry.path().filename().string())) parts.push_back(entry.path());
  for (const auto& part : parts) std::filesystem::remove_all(part);
  return lock;
}

}  // namespace lawa
