#include "data/token_scan.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/stop_request.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr int64_t block_tokens = int64_t{1} << 25;  // 64 MiB of uint16
constexpr int64_t piece_tokens = int64_t{1} << 17;  // read at a time: 256 kB stay in the cache until they are looked at
constexpr std::chrono::nanoseconds settled = std::chrono::seconds(3);  // the coarsest clock of a file system ticks every 2 s

/// Where the scan of a file is kept; "" where the environment names no folder of the user's.
fs::path place_of(const TokenFile& file) {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  const auto is_absolute = [](const char* path) { return path != nullptr && *path == '/'; };
  if (!is_absolute(cache) && !is_absolute(home)) return "";
  const fs::path folder = is_absolute(cache) ? fs::path(cache) : fs::path(home) / ".cache";
  std::error_code unknown;
  return folder / "lawa" / "tokens" / (hash128(fs::canonical(file.path, unknown).string()) + ".json");
}

/// What has to be as it was.
Json identity(const TokenFile& file) {
  std::error_code unknown;
  return {{"path", fs::canonical(file.path, unknown).string()}, {"bytes", file.stamp.bytes}, {"token_bytes", file.token_bytes},
          {"modified", file.stamp.modified},
          {"changed", file.stamp.changed}, {"inode", file.stamp.inode}};
}

Json entry_of(const TokenFile& file, const TokenScan& scan) {
  Json entry = identity(file);
  entry["scan"] = scan.to_json();
  return {{"entry", entry}, {"digest", hash128(entry.dump())}};
}

/// scan_block's, of tokens that are stored as T.
template <class T>
TokenScan scan_of_block(const TokenSet& tokens, const TokenFile& file, int64_t block) {
  std::vector<T> piece(piece_tokens);
  const int64_t end = std::min((block + 1) * block_tokens, file.size);
  TokenScan scan{"", 0, block * block_tokens};
  Digest digest;
  for (int64_t at = scan.at; at < end; at += piece_tokens) {
    const auto some = std::span(piece).first(static_cast<size_t>(std::min(piece_tokens, end - at)));
    tokens.read_bytes(file, at, std::as_writable_bytes(some));
    digest.add(std::as_bytes(some));
    if (const T largest = largest_of(some); largest > scan.largest) {
      scan.largest = largest;
      scan.at = at + (std::ranges::find(some, largest) - some.begin());
    }
  }
  scan.digest = digest.hex();
  return scan;
}

}  // namespace

int64_t scan_blocks(const TokenFile& file) { return (file.size + block_tokens - 1) / block_tokens; }

TokenScan scan_block(const TokenSet& tokens, const TokenFile& file, int64_t block) {
  stop_if_requested();
  return file.token_bytes == 2 ? scan_of_block<uint16_t>(tokens, file, block) : scan_of_block<uint32_t>(tokens, file, block);
}

TokenScan scan_of(const std::vector<TokenScan>& blocks) {
  TokenScan scan = *std::ranges::max_element(blocks, {}, &TokenScan::largest);  // the first of equal ones
  std::string digests;
  for (const TokenScan& block : blocks) digests += block.digest;
  scan.digest = hash128(digests);
  return scan;
}

std::string digest_of(const std::vector<TokenScan>& files) {
  if (files.size() == 1) return files[0].digest;
  std::string digests = "files";
  for (const TokenScan& file : files) digests += " " + file.digest;
  return hash128(digests);
}

std::optional<TokenScan> kept_scan(const TokenFile& file) {
  try {
    const Json kept = json_or_null(read_file(place_of(file)));
    const TokenScan scan = TokenScan::from_json(kept.at("entry").at("scan"));
    if (kept == entry_of(file, scan)) return scan;
  } catch (const std::exception&) {  // none is kept, or it is damaged
  }
  return std::nullopt;
}

void keep_scan(const TokenFile& file, const TokenScan& scan) {
  const fs::path place = place_of(file);
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  const std::chrono::nanoseconds touched{std::max(file.stamp.modified, file.stamp.changed)};
  if (place.empty() || scan_blocks(file) < 2 || now - touched < settled) return;
  try {
    make_folder(place.parent_path());
    write_file(place, entry_of(file, scan).dump() + "\n", false);
  } catch (const Error&) {  // then it is scanned again
  }
}

}  // namespace lawa
