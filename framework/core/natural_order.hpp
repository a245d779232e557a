// Names in the order that people expect: shard_2 before shard_10.
#pragma once
#include <algorithm>
#include <cctype>
#include <string_view>

namespace lawa {

/// Whether `a` comes before `b`: runs of digits by the numbers they write, all else by its bytes.
inline bool natural_less(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    const auto number = [&](std::string_view text, size_t& at) {
      const size_t begin = std::min(text.find_first_not_of('0', at), text.size());
      for (at = begin; at < text.size() && is_digit(text[at]);) ++at;
      return text.substr(begin, at - begin);
    };
    const std::string_view first = number(a, i), second = number(b, j);
    if (first != second) return first.size() != second.size() ? first.size() < second.size() : first < second;
  }
  if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
  return a < b;  // 01 and 1
}

}  // namespace lawa
