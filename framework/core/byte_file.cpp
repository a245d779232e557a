#include "core/byte_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.hpp"

namespace lawa {
namespace {

int open_flags(ByteFile::Mode mode) {
  switch (mode) {
    case ByteFile::Mode::read: return O_RDONLY;
    case ByteFile::Mode::update: return O_RDWR;
    case ByteFile::Mode::create: return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

}  // namespace

ByteFile::ByteFile(const std::filesystem::path& path, Mode mode)
    : path_(path), descriptor_(::open(path.c_str(), open_flags(mode) | O_CLOEXEC, 0644)) {
  LAWA_CHECK(descriptor_ >= 0, path_.string(), ": can't be opened: ", std::strerror(errno));
}

ByteFile::~ByteFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ByteFile::ByteFile(ByteFile&& other) noexcept : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

int64_t ByteFile::size() const {
  struct stat status {};
  LAWA_CHECK(::fstat(descriptor_, &status) == 0, path_.string(), ": can't be measured: ", std::strerror(errno));
  return status.st_size;
}

void ByteFile::read(int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    LAWA_CHECK(count >= 0, path_.string(), ": can't be read: ", std::strerror(errno));
    LAWA_CHECK(count > 0, path_.string(), ": ends at byte ", offset, ", and ", out.size(), " more were expected (truncated)");
    out = out.subspan(static_cast<size_t>(count));
    offset += count;
  }
}

void ByteFile::write(int64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    LAWA_CHECK(count > 0, path_.string(), ": can't be written: ", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
}

void ByteFile::make_durable() const {
  LAWA_CHECK(::fsync(descriptor_) == 0, path_.string(), ": can't be synchronised: ", std::strerror(errno));
}

void ByteFile::begin_writing_back(int64_t offset, int64_t bytes) const {
  ::sync_file_range(descriptor_, offset, bytes, SYNC_FILE_RANGE_WRITE);
}

void ByteFile::bring_back(int64_t offset, int64_t bytes) const {
  constexpr unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  const bool refused = ::sync_file_range(descriptor_, offset, bytes, flags) != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT);
  LAWA_CHECK(!refused, path_.string(), ": can't be written: ", std::strerror(errno));  // told once: fsync wouldn't know any more
  ::posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_DONTNEED);
  ::posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_WILLNEED);
}

const ByteFile& OpenFiles::operator[](const std::filesystem::path& path) {
  const auto found = by_path_.find(path);
  if (found != by_path_.end()) {
    files_.splice(files_.begin(), files_, found->second);
    return files_.front();
  }
  if (files_.size() >= most_) {
    by_path_.erase(files_.back().path());
    files_.pop_back();
  }
  files_.emplace_front(path, ByteFile::Mode::update);
  by_path_[path] = files_.begin();
  return files_.front();
}

void raise_open_file_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // where it isn't granted, the old limit holds
}

}  // namespace lawa
