#include "data/token_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/stop_request.hpp"

namespace lawa {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");
constexpr int64_t scan_tokens = int64_t{1} << 25;  // tokens of a block: 64 MiB
constexpr size_t cached_tokens = size_t{1} << 16;  // read once from memory, looked at twice
constexpr int64_t header_words = 256;
constexpr int32_t shard_magic = 20240520, shard_version = 1;

/// The tokens behind llm.c's header, or all of them where there is none.
std::span<const uint16_t> without_header(std::span<const uint16_t> all, const std::string& path) {
  std::array<int32_t, 3> header{};
  if (all.size_bytes() >= sizeof header) std::memcpy(header.data(), all.data(), sizeof header);
  if (header[0] != shard_magic || header[1] != shard_version) return all;
  const size_t skipped = header_words * sizeof(int32_t) / sizeof(uint16_t);
  LAWA_CHECK(header[2] > 0 && all.size() == skipped + static_cast<size_t>(header[2]), path, ": its header promises ", header[2],
             " tokens, but ", all.size_bytes(), " bytes hold ", static_cast<int64_t>(all.size()) - static_cast<int64_t>(skipped));
  return all.subspan(skipped);
}

/// 0 where there are none. A loop without a way out, unlike std::ranges::max_element: it becomes vector instructions.
uint16_t largest_of(std::span<const uint16_t> tokens) {
  uint16_t largest = 0;
  for (const uint16_t token : tokens) largest = std::max(largest, token);
  return largest;
}

int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

TokenFile::TokenFile(const std::filesystem::path& path) : path_(path.string()) {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  LAWA_CHECK(descriptor >= 0, path_, ": token file can't be opened: ", std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  mapping_bytes_ = known ? static_cast<size_t>(status.st_size) : 0;
  if (mapping_bytes_ > 0) mapping_ = ::mmap(nullptr, mapping_bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
  ::close(descriptor);
  LAWA_CHECK(known, path_, ": is not a regular file");
  LAWA_CHECK(mapping_bytes_ > 0, path_, ": token file is empty");
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    fail(__FILE__, __LINE__, path_, ": can't be mapped into memory: ", std::strerror(errno));
  }
  try {
    LAWA_CHECK(mapping_bytes_ % sizeof(uint16_t) == 0, path_, ": ", mapping_bytes_, " bytes are not a whole number of uint16 tokens");
    tokens_ = without_header({static_cast<const uint16_t*>(mapping_), mapping_bytes_ / sizeof(uint16_t)}, path_);
  } catch (const Error&) {  // the destructor won't run
    ::munmap(mapping_, mapping_bytes_);
    throw;
  }
}

TokenFile::TokenFile(TokenFile&& other) noexcept
    : path_(std::move(other.path_)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_bytes_(other.mapping_bytes_),
      tokens_(other.tokens_) {}

TokenFile::~TokenFile() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapping_bytes_);
}

TokenSet::TokenSet(const std::vector<std::string>& paths, std::string key) : key_(std::move(key)) {
  LAWA_CHECK(!paths.empty(), key_, ": names no token file");
  for (const std::string& path : paths) {
    LAWA_CHECK(std::filesystem::exists(path), key_, ": ", path, " doesn't exist");
    files_.emplace_back(path);
  }
}

int64_t TokenSet::size() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.size();
  return total;
}

int64_t TokenSet::windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += std::max<int64_t>(0, file.size() - length);
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path(), " holds ", files_[0].size(), " tokens, and a sequence takes ", length + 1);
  return total;
}

std::span<const uint16_t> TokenSet::window(int64_t index, int64_t length) const {
  for (const TokenFile& file : files_) {
    const int64_t here = std::max<int64_t>(0, file.size() - length);
    if (index < here) return file.tokens().subspan(static_cast<size_t>(index), static_cast<size_t>(length + 1));
    index -= here;
  }
  fail(__FILE__, __LINE__, key_, ": no such window");
}

int64_t TokenSet::consecutive_windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += (file.size() - 1) / length;
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path(), " holds ", files_[0].size(), " tokens, and a sequence takes ", length + 1);
  return total;
}

std::span<const uint16_t> TokenSet::consecutive_window(int64_t index, int64_t length) const {
  for (const TokenFile& file : files_) {
    const int64_t here = (file.size() - 1) / length;
    if (index < here) return file.tokens().subspan(static_cast<size_t>(index * length), static_cast<size_t>(length + 1));
    index -= here;
  }
  fail(__FILE__, __LINE__, key_, ": no such window");
}

int64_t TokenSet::blocks() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += ceiling(file.size(), scan_tokens);
  return total;
}

std::string TokenSet::check_blocks(Range blocks, int64_t vocabulary) const {
  std::string digests;
  int64_t first = 0;  // the number of a file's first block
  for (const TokenFile& file : files_) {
    const Range here{first, first + ceiling(file.size(), scan_tokens)};
    const Range wanted = intersect(here, blocks);
    for (int64_t block = wanted.begin; block < wanted.end; ++block) {
      stop_if_requested();
      const int64_t begin = (block - here.begin) * scan_tokens, count = std::min(scan_tokens, file.size() - begin);
      const auto tokens = file.tokens().subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
      uint16_t largest = 0;
      Digest digest;
      for (size_t at = 0; at < tokens.size(); at += cached_tokens) {
        const auto some = tokens.subspan(at, std::min(cached_tokens, tokens.size() - at));
        largest = std::max(largest, largest_of(some));
        digest.add(std::as_bytes(some));
      }
      LAWA_CHECK(largest < vocabulary, key_, ": ", file.path(), ": token ", begin + (std::ranges::find(tokens, largest) - tokens.begin()),
                 " is ", largest, ", and model.vocabulary is ", vocabulary);
      digests += digest.hex();
    }
    first = here.end;
  }
  return digests;
}

}  // namespace lawa
