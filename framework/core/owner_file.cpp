#include "core/owner_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/error.hpp"
#include "core/host_name.hpp"
#include "core/files.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// Its text; "" where there is none any more.
std::string text_of(const fs::path& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return "";
  }
}

/// True when this call has made the file: of several processes one does.
bool made(const fs::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0 && errno == EEXIST) return false;
  LAWA_CHECK_SYSTEM(file >= 0, path.string(), ": can't be created");
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  LAWA_CHECK_SYSTEM(written, path.string(), ": can't be written");
  return true;
}

bool is_fresh(const fs::path& path) {
  std::error_code gone;
  const auto renewed = fs::last_write_time(path, gone);
  return !gone && fs::file_time_type::clock::now() - renewed < OwnerFile::stale_after;
}

}  // namespace

std::string holder_words() {
  const char* const job = std::getenv("SLURM_JOB_ID");
  return concat(host_name(), " ", ::getpid(), " ", job != nullptr ? job : "-");
}

std::string holder_name(const std::string& words) {
  std::string host, pid, job;
  std::istringstream(words) >> host >> pid >> job;
  if (job.empty()) return "";
  return "pid " + pid + " on " + host + (job == "-" ? "" : ", job " + job);
}

std::unique_ptr<OwnerFile> OwnerFile::take(const fs::path& path, std::string& holder) {
  const std::string words = holder_words();
  if (!made(path, words)) {
    holder = text_of(path);
    if (is_fresh(path)) return nullptr;
    write_file(path, words, false);
    std::this_thread::sleep_for(std::chrono::seconds(1));  // somebody else may have seen the same: the last one has it
    if (text_of(path) != words) {
      holder = text_of(path);
      return nullptr;
    }
  }
  return std::unique_ptr<OwnerFile>(new OwnerFile(path));
}

OwnerFile::OwnerFile(fs::path path) : path_(std::move(path)), words_(holder_words()) {
  sigset_t all, before;  // signals are the main thread's
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  renewing_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!end_.wait_for(lock, renewed_every, [this] { return over_.load(); })) renew();
  });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

OwnerFile::~OwnerFile() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  end_.notify_all();
  renewing_.join();
  std::error_code ignored;
  if (is_mine()) fs::remove(path_, ignored);
}

bool OwnerFile::is_mine() const { return text_of(path_) == words_; }

// A process that was suspended may ask before its thread has looked.
bool OwnerFile::lost(bool now) const { return lost_ || ((now || Clock::now() - renewed_.load() > 2 * renewed_every) && !is_mine()); }

void OwnerFile::renew() {
  std::error_code ignored;  // the next time will do
  lost_ = !is_mine();
  if (lost_) return;
  fs::last_write_time(path_, fs::file_time_type::clock::now(), ignored);
  renewed_ = Clock::now();
}

}  // namespace lawa
