#include "data/token_file.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "core/error.hpp"

namespace lawa {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");
constexpr int64_t token_bytes = sizeof(uint16_t);
constexpr int64_t header_bytes = 256 * sizeof(int32_t);
constexpr int32_t shard_magic = 20240520, shard_version = 1;

/// Of the files that this process may open, those of one set.
size_t most_open() { return std::clamp<size_t>(open_file_limit() / 4, 16, 4096); }

/// The windows of some files that begin at each file's multiples of `stride`, as one list: calls use(file, begin) for the index-th.
template <class Use>
auto at_window(const std::vector<TokenFile>& files, int64_t index, int64_t length, int64_t stride, Use&& use) {
  for (const TokenFile& file : files) {
    const int64_t here = std::max<int64_t>(0, (file.size - length - 1 + stride) / stride);
    if (index < here) return use(file, index * stride);
    index -= here;
  }
  fail(__FILE__, __LINE__, "there are fewer windows of ", length + 1, " tokens: ", index, " behind the last");
}

}  // namespace

// A loop without a way out, unlike std::ranges::max_element: it becomes vector instructions.
uint16_t largest_of(std::span<const uint16_t> tokens) {
  uint16_t largest = 0;
  for (const uint16_t token : tokens) largest = std::max(largest, token);
  return largest;
}

TokenFile token_file(const std::filesystem::path& path) {
  const ByteFile bytes(path, ByteFile::Mode::read);
  TokenFile file{path, 0, 0, bytes.stamp()};
  const int64_t size = file.stamp.bytes;
  LAWA_CHECK(size > 0, path.string(), ": token file is empty");
  LAWA_CHECK(size % token_bytes == 0, path.string(), ": ", size, " bytes are not a whole number of uint16 tokens");
  std::array<int32_t, 3> header{};
  if (size >= static_cast<int64_t>(sizeof header)) bytes.read(0, std::as_writable_bytes(std::span(header)));
  if (header[0] == shard_magic && header[1] == shard_version) {
    file.first_byte = header_bytes;
    LAWA_CHECK(header[2] > 0 && size == header_bytes + token_bytes * header[2], path.string(), ": its header promises ", header[2],
               " tokens, but ", size, " bytes hold ", (size - header_bytes) / token_bytes);
  }
  file.size = (size - file.first_byte) / token_bytes;
  return file;
}

TokenSet::TokenSet(const std::vector<std::string>& paths, std::string key, int64_t vocabulary)
    : key_(std::move(key)), vocabulary_(vocabulary), open_(ByteFile::Mode::read, most_open()) {
  LAWA_CHECK(!paths.empty(), key_, ": names no token file");
  for (const std::string& path : paths) try {
      files_.push_back(token_file(path));
    } catch (const Error& error) {
      throw Error(key_ + ": " + error.what(), error.place);
    }
}

int64_t TokenSet::size() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.size;
  return total;
}

int64_t TokenSet::windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += std::max<int64_t>(0, file.size - length);
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path.string(), " holds ", files_[0].size, " tokens, and a sequence takes ", length + 1);
  return total;
}

int64_t TokenSet::consecutive_windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += (file.size - 1) / length;
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path.string(), " holds ", files_[0].size, " tokens, and a sequence takes ", length + 1);
  return total;
}

std::vector<uint16_t> TokenSet::window(int64_t index, int64_t length) const {
  return at_window(files_, index, length, 1, [&](const TokenFile& file, int64_t begin) { return checked(file, begin, length + 1); });
}

std::vector<uint16_t> TokenSet::consecutive_window(int64_t index, int64_t length) const {
  return at_window(files_, index, length, length, [&](const TokenFile& file, int64_t begin) { return checked(file, begin, length + 1); });
}

void TokenSet::read(const TokenFile& file, int64_t begin, std::span<uint16_t> out) const {
  const ByteFile& bytes = open_[file.path];
  check_unchanged(file, bytes.stamp());  // a cut file is one that was changed
  bytes.read(file.first_byte + token_bytes * begin, std::as_writable_bytes(out));
  check_unchanged(file, bytes.stamp());  // what changed before the reading shows
}

void TokenSet::check_unchanged(const TokenFile& file, const FileStamp& now) const {
  LAWA_CHECK(now.bytes == file.stamp.bytes && now.modified == file.stamp.modified && now.inode == file.stamp.inode, key_, ": ",
             file.path.string(), ": has been changed while it is used, and its digest is no longer that of its tokens; put the former file "
             "back, or begin a run with the new one");
}

void TokenSet::check_id(const TokenFile& file, int64_t at, uint16_t id) const {
  LAWA_CHECK(id < vocabulary_, key_, ": ", file.path.string(), ": token ", at, " is ", id, ", and model.vocabulary is ", vocabulary_);
}

std::vector<uint16_t> TokenSet::checked(const TokenFile& file, int64_t begin, int64_t count) const {
  std::vector<uint16_t> tokens(static_cast<size_t>(count));
  read(file, begin, tokens);
  if (const uint16_t largest = largest_of(tokens); largest >= vocabulary_)
    check_id(file, begin + (std::ranges::find(tokens, largest) - tokens.begin()), largest);
  return tokens;
}

}  // namespace lawa
