#include "doctor/words.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"

namespace lawa {

std::string counted(int64_t count, const std::string& what) { return concat(count, " ", what, count == 1 ? "" : "s"); }

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t most = 4;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), most); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > most ? concat(text, " and ", names.size() - most, " more") : text;
}

std::string ranges_text(const std::set<int64_t>& numbers) {
  std::string text;
  for (auto begin = numbers.begin(), end = begin; begin != numbers.end(); begin = end) {
    int64_t last = *begin;
    for (++end; end != numbers.end() && *end == last + 1; ++end) last = *end;
    text += concat(text.empty() ? "" : ",", *begin);
    if (last > *begin) text += concat("-", last);
  }
  return text;
}

}  // namespace lawa
