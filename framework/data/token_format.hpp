// How a token file is laid out, and what is said of a file that isn't one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "data/token_meta.hpp"

namespace lawa {

struct TokenFormat {
  int64_t first_byte = 0;  ///< behind a header
  int token_bytes = 2;     ///< 2: uint16; 4: uint32
  int64_t size = 0;        ///< tokens
};


/// Of a file of `bytes` bytes that begins so: raw little-endian uint16 as nanoGPT writes them, llm.c's shards of uint16 or uint32, or raw
/// uint32 where meta.json says so. Errors, each with its remedy: an empty file; a header that doesn't fit the file's size, or is of another
/// of llm.c's files; a file of another kind; tokens of 32 or 64 bits without a header; what meta.json says otherwise.
TokenFormat token_format(std::span<const std::byte> beginning, int64_t bytes, const TokenMeta& meta, const std::string& path);

}  // namespace lawa
