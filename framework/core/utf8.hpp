// Text in UTF-8, which JSON and TOML are; names of files may be anything.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace lawa {

/// Bytes of the character that begins at text[at]; 0 where none does (the Unicode standard, table 3-7).
inline size_t character_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80, high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < bytes; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return bytes;
}

inline bool is_utf8(std::string_view text) {
  for (size_t at = 0, bytes = 0; at < text.size(); at += bytes)
    if ((bytes = character_bytes(text, at)) == 0) return false;
  return true;
}

/// The same text where each byte that isn't part of a character is written as \xE9.
inline std::string in_utf8(std::string_view text) {
  constexpr const char* digits = "0123456789ABCDEF";
  std::string written;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (bytes > 0) written += text.substr(at, bytes);
    else written += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    at += bytes > 0 ? bytes : 1;
  }
  return written;
}

}  // namespace lawa
