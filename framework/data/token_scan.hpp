// What a pass over all tokens finds: their digest, and the largest id. It is kept for the next time.
#pragma once
#include <optional>

#include "core/json.hpp"
#include "data/token_file.hpp"

namespace lawa {

/// Of a block of tokens, or of a file.
struct TokenScan {
  std::string digest;    ///< 32 hexadecimal digits
  TokenId largest = 0;   ///< the largest id
  int64_t at = 0;        ///< the first token that has it, counted from the file's first

  Json to_json() const { return {{"digest", digest}, {"largest", largest}, {"at", at}}; }
  static TokenScan from_json(const Json& json) { return {json.at("digest"), json.at("largest"), json.at("at")}; }
};

/// A file is scanned in so many blocks (of 2^25 tokens), which ranks share out.
int64_t scan_blocks(const TokenFile& file);
/// Errors: TokenSet::read's; Stopped.
TokenScan scan_block(const TokenSet& tokens, const TokenFile& file, int64_t block);
/// The file's, from those of all its blocks in their order.
TokenScan scan_of(const std::vector<TokenScan>& blocks);
/// Of a set, from those of its files: a single file's own, so that it doesn't depend on its name; else where files end counts.
std::string digest_of(const std::vector<TokenScan>& files);

/// Scans of files of more than a block, kept in $XDG_CACHE_HOME/lawa/tokens or ~/.cache/lawa/tokens: a folder of tokens may be another
/// user's, and stays as it is. Nothing where no scan is kept of this path, size, width of tokens, inode, and times of modification and change.
std::optional<TokenScan> kept_scan(const TokenFile& file);
/// Does nothing where that folder can't be written, for one block, and for a file so new that it might change without its times telling.
void keep_scan(const TokenFile& file, const TokenScan& scan);

}  // namespace lawa
