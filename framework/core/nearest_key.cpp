#include "core/nearest_key.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace lawa {
namespace {

constexpr size_t most_named = 3;
constexpr size_t other_table = 3;  ///< so many wrong letters make another table

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

/// "schedule.peak_lr": the table and the name in it.
struct Key {
  explicit Key(const std::string& key)
      : table(key.substr(0, std::min(key.rfind('.'), key.size()))), name(key.substr(key.rfind('.') + 1)) {
    if (key.find('.') == std::string::npos) table.clear();
  }
  std::string table, name;
};

/// Its words in small letters: letters and digits between anything else.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
  }
  return words;
}

bool holds(const std::set<std::string>& all, const std::set<std::string>& some) { return !some.empty() && std::ranges::includes(all, some); }

/// How many letters of a name may be wrong; two in places that were exchanged.
size_t slips(const std::string& name) { return name.size() < 4 ? 1 : std::max<size_t>(2, name.size() / 3); }

/// How far a key is from the one that is looked for; nothing: too far.
using Distance = std::function<std::optional<size_t>(const Key& other, const std::string& help)>;

std::vector<Distance> distances_from(const Key& key) {
  const auto of_names = [key](const Key& other) -> std::optional<size_t> {
    const size_t distance = edit_distance(key.name, other.name);
    return distance <= slips(key.name) ? std::optional(distance) : std::nullopt;
  };
  const auto of_tables = [key](const Key& other) { return std::min(edit_distance(key.table, other.table), other_table); };
  const auto same_name = [=](const Key& other, const std::string&) { return key.name == other.name ? std::optional(of_tables(other)) : std::nullopt; };
  const auto slip = [=](const Key& other, const std::string&) -> std::optional<size_t> {
    const auto of_name = of_names(other);
    return of_name && of_tables(other) < other_table ? std::optional(of_tables(other) + *of_name) : std::nullopt;
  };
  const auto elsewhere = [=](const Key& other, const std::string&) { return of_names(other); };
  const std::set<std::string> words = words_of(key.name);
  const auto shared_words = [=](const Key& other, const std::string&) -> std::optional<size_t> {
    const std::set<std::string> others = words_of(other.name);
    return holds(others, words) || holds(words, others) ? std::optional<size_t>(0) : std::nullopt;
  };
  const auto in_help = [=](const Key&, const std::string& help) {
    return holds(words_of(help), words) ? std::optional<size_t>(0) : std::nullopt;
  };
  return {same_name, slip, elsewhere, shared_words, in_help};
}

}  // namespace

std::string nearest_keys(const std::string& key, const std::map<std::string, std::string>& known) {
  constexpr size_t longest = 200;  // what is longer is no key that anybody has mistyped
  if (key.size() > longest) return "";
  for (const Distance& distance : distances_from(Key(key))) {
    std::map<size_t, std::vector<std::string>> found;
    for (const auto& [other, help] : known)
      if (const auto how_far = distance(Key(other), help)) found[*how_far].push_back(other);
    if (found.empty()) continue;
    const std::vector<std::string>& nearest = found.begin()->second;
    const size_t named = std::min(nearest.size(), most_named);
    std::string text = "; did you mean " + nearest[0];
    for (size_t i = 1; i < named; ++i) text += (i + 1 < named ? ", " : " or ") + nearest[i];
    return text + "?";
  }
  return "";
}

}  // namespace lawa
