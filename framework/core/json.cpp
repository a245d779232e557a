#include "core/json.hpp"

#include <algorithm>
#include <string_view>

#include "core/error.hpp"

namespace lawa {
namespace {

constexpr int most_levels = 100;

/// How deep lists and objects lie in each other in a text that is JSON.
int levels_of(std::string_view text) {
  int level = 0, most = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    else if (c == '"') in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{')) most = std::max(most, ++level);
    else if (!in_string && (c == ']' || c == '}')) --level;
  }
  return most;
}

}  // namespace

Json parsed_json(const std::string& text, const std::string& what) {
  try {
    const int levels = levels_of(text);
    LAWA_CHECK(levels <= most_levels, what, ": lists and objects lie in each other ", levels, " deep, and ", most_levels, " are read");
    return Json::parse(text);
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, what, ": ", error.what());
  }
}

Json json_or_null(const std::string& text) {
  Json json = levels_of(text) <= most_levels ? Json::parse(text, nullptr, false) : Json();
  return json.is_discarded() ? Json() : json;
}

}  // namespace lawa
