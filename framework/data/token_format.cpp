#include "data/token_format.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "core/error.hpp"
#include "core/file_kind.hpp"

namespace lawa {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");
constexpr int64_t header_bytes = 256 * sizeof(int32_t);

/// What llm.c's files begin with.
struct Magic {
  int32_t number;
  const char* of;
};
struct ShardMagic {
  int32_t number, version;
  int token_bytes;
};
constexpr ShardMagic shards[] = {{20240520, 1, 2}, {20240801, 7, 4}};  // of GPT-2's tokens, and of Llama 3's
constexpr Magic others[] = {{20240326, "GPT-2 model"}, {20240327, "debug state"}, {20240328, "tokenizer"}, {20240522, "multiple-choice questions"},
                            {20240527, "training state"}, {20240803, "Llama 3 model"}};

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

/// Dates as llm.c's numbers are, of years to come too.
bool is_date(int32_t number) {
  const int32_t month = number / 100 % 100, day = number % 100;
  return number > 20240000 && number < 20400000 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/// The header's, if there is one.
bool read_header(const std::vector<int32_t>& header, int64_t bytes, const std::string& path, TokenFormat& format) {
  if (header.size() < 3 || !is_date(header[0])) return false;
  for (const Magic& other : others)
    LAWA_CHECK(header[0] != other.number || header[1] < 0 || header[1] > 100, path, ": is llm.c's ", other.of, " (magic ", other.number,
               "), not a token file; those of its data/ scripts are, fineweb_train_000001.bin, say");
  for (const ShardMagic& shard : shards) {
    if (header[0] != shard.number) continue;
    LAWA_CHECK(header[1] == shard.version, path, ": begins with llm.c's magic ", shard.number, " and version ", header[1], ", and version ",
               shard.version, " is read; write it again with today's llm.c, or with data/prepare.py --format llmc");
    const int64_t there = (bytes - header_bytes) / shard.token_bytes;
    LAWA_CHECK(header[2] > 0 && bytes == header_bytes + int64_t{shard.token_bytes} * header[2], path, ": its header promises ", header[2],
               " tokens, but ", bytes, " bytes hold ", std::max<int64_t>(there, 0), "; copy or write it again");
    format = {header_bytes, shard.token_bytes, header[2]};
    return true;
  }
  LAWA_CHECK(bytes < header_bytes || header[1] < 0 || header[1] > 100, path, ": begins like a file of llm.c (magic ", header[0], ", version ", header[1],
             "), and shards with the magics 20240520 (uint16) and 20240801 (uint32) are read");
  return false;
}

/// Of tokens without a header that no uint16 are: their bits; 16 otherwise. In wider tokens' upper parts little or nothing happens, in each
/// 16 bits of uint16 as much as in the ones before.
int bits_of_tokens(const std::vector<uint16_t>& halves) {
  constexpr size_t few = 8, many = 128;
  constexpr uint16_t largest_upper = 16, large_lower = 256;
  const auto part = [&](size_t first, size_t stride) {
    std::vector<uint16_t> values;
    for (size_t i = first; i < halves.size(); i += stride) values.push_back(halves[i]);
    return values;
  };
  const auto is_zero = [](uint16_t value) { return value == 0; };
  const std::vector<uint16_t> lower = part(0, 2), upper = part(1, 2), third = part(2, 4), fourth = part(3, 4), first = part(0, 4);
  const auto largest = [](const std::vector<uint16_t>& values) { return values.empty() ? uint16_t{0} : *std::ranges::max_element(values); };
  if (halves.size() < few) return 16;
  const auto varies = [&](const std::vector<uint16_t>& values) { return std::ranges::count_if(values, is_zero) * 2 < std::ssize(values); };
  if (largest(third) == 0 && largest(fourth) == 0 && largest(part(1, 4)) < largest_upper && varies(first)) return 64;
  const bool empty = largest(upper) == 0 && varies(lower);
  return empty || (halves.size() >= many && largest(upper) < largest_upper && largest(lower) >= large_lower) ? 32 : 16;
}

void check_is_tokens(std::span<const std::byte> beginning, int64_t bytes, const TokenMeta& meta, const std::string& path) {
  const int token_bytes = meta.token_bytes.value_or(2);
  if (meta.tokens == bytes / token_bytes && bytes % token_bytes == 0) return;  // tokens may look like anything
  const FileKind kind = file_kind(beginning, bytes);
  LAWA_CHECK(kind.name.empty(), path, ": is ", kind.name, ", not a token file", kind.remedy.empty() ? "" : "; ", kind.remedy);
  if (meta.token_bytes) return;
  const int bits = bits_of_tokens(values_of<uint16_t>(beginning));
  LAWA_CHECK(bits != 32, path, ": looks like tokens of 32 bits without a header; a meta.json beside it that holds {\"dtype\": \"uint32\"} says so");
  LAWA_CHECK(bits != 64, path, ": looks like tokens of 64 bits; numpy.fromfile(FILE, \"<i8\").astype(\"<u2\").tofile(NEW) makes a token file of ",
             "it, or \"<u4\" for ids above 65535");
}

const char* name_of_type(int token_bytes) { return token_bytes == 4 ? "uint32" : "uint16"; }

}  // namespace

TokenFormat token_format(std::span<const std::byte> beginning, int64_t bytes, const TokenMeta& meta, const std::string& path) {
  LAWA_CHECK(bytes > 0, path, ": token file is empty; copy or write it again");
  TokenFormat format;
  if (!read_header(values_of<int32_t>(beginning.first(std::min<size_t>(beginning.size(), 12))), bytes, path, format)) {
    check_is_tokens(beginning, bytes, meta, path);
    format.token_bytes = meta.token_bytes.value_or(format.token_bytes);
    LAWA_CHECK(bytes % format.token_bytes == 0, path, ": ", bytes, " bytes are not a whole number of ", name_of_type(format.token_bytes),
               " tokens: it is cut, or not a token file");
    format.size = bytes / format.token_bytes;
  }
  const std::string meta_says = ", and " + meta.path.string() + " says ";
  const std::string remedy = "; prepare the text again, or remove that file if it is of other tokens";
  LAWA_CHECK(meta.token_bytes.value_or(format.token_bytes) == format.token_bytes, path, ": its header says ", name_of_type(format.token_bytes), meta_says,
             name_of_type(*meta.token_bytes), remedy);
  LAWA_CHECK(meta.tokens.value_or(format.size) == format.size, path, ": holds ", format.size, " tokens", meta_says, *meta.tokens, remedy);
  return format;
}

}  // namespace lawa
