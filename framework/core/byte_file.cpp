#include "core/byte_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/activity.hpp"
#include "core/error.hpp"

namespace lawa {
namespace {

int open_flags(ByteFile::Mode mode) {
  switch (mode) {
    case ByteFile::Mode::read: return O_RDONLY;
    case ByteFile::Mode::update: return O_RDWR;
    case ByteFile::Mode::create: return O_RDWR | O_CREAT | O_TRUNC;
    case ByteFile::Mode::append: return O_WRONLY | O_CREAT | O_APPEND;
  }
  return O_RDONLY;
}

bool creates(ByteFile::Mode mode) { return mode == ByteFile::Mode::create || mode == ByteFile::Mode::append; }

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a pipe";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

int64_t nanoseconds(const timespec& time) { return int64_t{1'000'000'000} * time.tv_sec + time.tv_nsec; }

struct stat status_of(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  LAWA_CHECK_SYSTEM(::fstat(descriptor, &status) == 0, path.string(), ": can't be measured");
  return status;
}

}  // namespace

size_t open_file_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  const rlim_t soft = std::exchange(limit.rlim_cur, limit.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : soft;
}

size_t files_to_open() {
  constexpr size_t spare = 16;
  size_t used = spare;
  std::error_code unknown;
  for ([[maybe_unused]] const auto& open : std::filesystem::directory_iterator("/proc/self/fd", unknown)) ++used;
  return open_file_limit() - std::min(open_file_limit(), used);
}

void check_is_file(const std::filesystem::path& path, bool may_be_missing) {
  struct stat status {};
  const bool known = ::stat(path.c_str(), &status) == 0;
  LAWA_CHECK_SYSTEM(known || (errno == ENOENT && may_be_missing), path.string(), ": can't be opened");
  LAWA_CHECK(!known || S_ISREG(status.st_mode), path.string(), ": is ", kind_of(status.st_mode), ", not a file");
}

ByteFile::ByteFile(const std::filesystem::path& path, Mode mode) : path_(path) {
  check_is_file(path, creates(mode));
  descriptor_ = ::open(path.c_str(), open_flags(mode) | O_CLOEXEC, 0644);
  LAWA_CHECK_SYSTEM(descriptor_ >= 0, path_.string(), creates(mode) ? ": can't be created" : ": can't be opened");
}

ByteFile::~ByteFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ByteFile::ByteFile(ByteFile&& other) noexcept : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
ByteFile& ByteFile::operator=(ByteFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void ByteFile::close() {
  LAWA_CHECK_SYSTEM(::close(std::exchange(descriptor_, -1)) == 0, path_.string(), ": can't be closed");
}

int64_t ByteFile::size() const { return status_of(descriptor_, path_).st_size; }

FileStamp ByteFile::stamp() const {
  const struct stat status = status_of(descriptor_, path_);
  return {status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim), status.st_ino};
}

size_t ByteFile::read_some(int64_t offset, std::span<std::byte> out) const {
  for (;;) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    LAWA_CHECK_SYSTEM(count >= 0, path_.string(), ": can't be read");
    note_change();
    return static_cast<size_t>(count);
  }
}

void ByteFile::read(int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const size_t count = read_some(offset, out);
    LAWA_CHECK(count > 0, path_.string(), ": ends at byte ", offset, ", and ", out.size(), " more were expected (truncated)");
    out = out.subspan(count);
    offset += static_cast<int64_t>(count);
  }
}

void ByteFile::write(int64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    LAWA_CHECK_SYSTEM(count > 0, path_.string(), ": can't be written");
    note_change();
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
}

void ByteFile::reserve(int64_t bytes) const {
  const bool done = bytes == 0 || ::fallocate(descriptor_, 0, 0, bytes) == 0;
  const bool refused = !done && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG);
  LAWA_CHECK_SYSTEM(!refused, path_.string(), ": can't be given ", bytes, " bytes");
  if (!done) LAWA_CHECK_SYSTEM(::ftruncate(descriptor_, bytes) == 0, path_.string(), ": can't be made ", bytes, " bytes long");
}

void ByteFile::make_durable() const {
  LAWA_CHECK_SYSTEM(::fsync(descriptor_) == 0, path_.string(), ": can't be synchronised");
}

void ByteFile::begin_writing_back(int64_t offset, int64_t bytes) const {
  ::sync_file_range(descriptor_, offset, bytes, SYNC_FILE_RANGE_WRITE);
}

void ByteFile::bring_back(int64_t offset, int64_t bytes) const {
  constexpr unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const bool refused = ::sync_file_range(descriptor_, offset, bytes, flags) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT);
  LAWA_CHECK_SYSTEM(!refused, path_.string(), ": can't be written");  // told once: fsync wouldn't know any more
  ::posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_DONTNEED);
  ::posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_WILLNEED);
}

const ByteFile& OpenFiles::operator[](const std::filesystem::path& path) {
  const auto found = files_.find(path);
  if (found != files_.end()) return found->second;
  if (files_.size() < most_) return files_.emplace(path, ByteFile(path, mode_)).first->second;
  if (last_ && last_->path() == path) return *last_;
  if (last_) last_->close();
  return last_.emplace(path, mode_);
}

void OpenFiles::close_all() {
  for (auto& [path, file] : files_) file.close();
  files_.clear();
  if (last_) last_->close();
  last_.reset();
}

}  // namespace lawa
