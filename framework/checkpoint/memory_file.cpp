#include "checkpoint/memory_file.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/error.hpp"

namespace lawa {

namespace {

/// A folder in memory, or else the one for temporary files, with room for what HDF5 writes of a file before its numbers are there.
std::filesystem::path folder_with_room() {
  constexpr uintmax_t enough = uintmax_t{1} << 26;
  std::error_code error;
  for (const std::filesystem::path& folder : {std::filesystem::path("/dev/shm"), std::filesystem::temp_directory_path(error)})
    if (!folder.empty() && std::filesystem::space(folder, error).available >= enough && !error && ::access(folder.c_str(), W_OK) == 0)
      return folder;
  fail(__FILE__, __LINE__, "neither /dev/shm nor the folder for temporary files (TMPDIR) has ", enough, " bytes free");
}

}  // namespace

MemoryFile::MemoryFile(const std::filesystem::path& of, int64_t most_bytes) : name_(folder_with_room() / "lawa_XXXXXX") {
  struct rlimit limit {};
  const bool limited = ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  LAWA_CHECK(!limited || static_cast<uint64_t>(most_bytes) <= limit.rlim_cur, of.string(), ": will have about ", most_bytes,
             " bytes, and this process may write at most ", limit.rlim_cur, " to a file (ulimit -f)");
  descriptor_ = ::mkostemp(name_.data(), O_CLOEXEC);
  LAWA_CHECK_SYSTEM(descriptor_ >= 0, name_, ": can't be created");
}
MemoryFile::~MemoryFile() {
  forget_name();
  ::close(descriptor_);
}

void MemoryFile::forget_name() {
  if (!name_.empty()) ::unlink(name_.c_str());
  name_.clear();
}

void MemoryFile::copy_to(const ByteFile& file) const {
  const off_t size = ::lseek(descriptor_, 0, SEEK_END);
  LAWA_CHECK_SYSTEM(size >= 0, "a file in memory can't be measured");
  file.reserve(size);
  std::vector<std::byte> piece;
  for (off_t begin = 0, end = 0; (begin = ::lseek(descriptor_, end, SEEK_DATA)) >= 0;) {  // from one written part to the next
    end = ::lseek(descriptor_, begin, SEEK_HOLE);
    LAWA_CHECK_SYSTEM(end > begin, "a file in memory can't be searched");
    for (off_t at = begin; at < end; at += std::ssize(piece)) {
      piece.resize(static_cast<size_t>(std::min<off_t>(end - at, 1 << 20)));
      LAWA_CHECK(::pread(descriptor_, piece.data(), piece.size(), at) == std::ssize(piece), "a file in memory can't be read");
      file.write(at, piece);
    }
  }
  LAWA_CHECK_SYSTEM(errno == ENXIO, "a file in memory can't be searched");  // that is: no more of it
}

}  // namespace lawa
