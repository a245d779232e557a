#include "core/config_source.hpp"

#include <algorithm>
#include <string_view>
// Its debug builds end the program at "[ = 1", which it names as an error otherwise.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include "core/error.hpp"

namespace lawa {
namespace {

/// A text, and where its lines and their characters are.
class Text {
 public:
  explicit Text(const std::string& text) : text_(text) {
    for (size_t at = 0; at < text.size(); ++at) {
      if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80) characters_.push_back(at);
      if (text[at] == '\n') lines_.push_back(characters_.size());
    }
  }

  /// What stands for a scalar that was parsed from it.
  std::string written(const toml::node& node) const {
    const size_t begin = byte_at(node.source().begin);
    return text_.substr(begin, byte_at(node.source().end) - begin);
  }

 private:
  /// Lines and columns, which are characters, are counted from 1.
  size_t byte_at(const toml::source_position& position) const {
    const size_t character = lines_[std::min<size_t>(position.line, lines_.size()) - 1] + position.column - 1;
    return character < characters_.size() ? characters_[character] : text_.size();
  }

  const std::string& text_;
  std::vector<size_t> characters_{}, lines_{0};  ///< their first byte; their first character
};

/// Behind the string that begins at a quote.
size_t end_of_string(std::string_view text, size_t begin) {
  const char quote = text[begin];
  const bool three = text.substr(begin, 3) == std::string(3, quote);
  for (size_t at = begin + (three ? 3 : 1); at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') ++at;
    else if (!three && text[at] == quote) return at + 1;
    else if (three && text.substr(at, 3) == std::string(3, quote)) return std::min(text.find_first_not_of(quote, at), text.size());
  }
  return text.size();
}

/// How deep tables and lists lie in each other in a text that is TOML, where a.b is a table in a table.
int levels_of(std::string_view text) {
  std::vector<int> open;  // the level around each bracket
  int level = 0, most = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '#') at = std::min(text.find('\n', at), text.size()) - 1;
    else if (c == '"' || c == '\'') at = end_of_string(text, at) - 1;
    else if (c == '.') most = std::max(most, ++level);
    else if (c == '[' || c == '{') open.push_back(level++);
    else if ((c == ']' || c == '}') && !open.empty()) level = open.back(), open.pop_back();
    else if (c == ',' && !open.empty()) level = open.back() + 1;
    else if (c == '\n' && open.empty()) level = 0;
    most = std::max(most, level);
  }
  return most;
}

/// Errors: the text isn't TOML; or nobody means it, and what walks through it takes stack for each level.
toml::table parsed_toml(const std::string& text, const std::string& name) {
  constexpr int most_levels = 100;
  const int levels = levels_of(text);
  LAWA_CHECK(levels <= most_levels, name, ": tables and lists lie in each other ", levels, " deep, and ", most_levels, " are read");
  return toml::parse(text, name);
}

/// `text` is what the node was parsed from.
Value to_value(const toml::node& node, const Text& text, const std::string& key, const std::string& place) {
  if (const auto* v = node.as_boolean()) return {v->get(), text.written(node)};
  if (const auto* v = node.as_integer()) return {v->get(), text.written(node)};
  if (const auto* v = node.as_floating_point()) return {v->get(), text.written(node)};
  if (const auto* v = node.as_string()) return {v->get()};
  LAWA_CHECK(!node.is_table(), key, " (", place, "): tables among other values aren't used here");
  const auto* array = node.as_array();
  if (array == nullptr) return {text.written(node)};  // a date or time
  std::vector<Value> values;
  for (const toml::node& element : *array) values.push_back(to_value(element, text, key, place));
  return {values};
}

bool is_table(const Value& value) { return std::holds_alternative<TablePlace>(value.data); }

std::string place_of(const toml::node& node, const std::string& name) {
  return name.empty() ? ConfigSource::command_line : concat(name, ":", node.source().begin.line);
}

using Entries = std::map<std::string, ConfigSource::Entry>;

/// Everything that was said about a key or what lies below it.
void forget(const std::string& key, Entries& entries) {
  std::erase_if(entries, [&](const auto& entry) { return entry.first == key || entry.first.starts_with(key + "."); });
}

/// `text` is what the node was parsed from, `name` the file's, "" for the command line.
void flatten(const toml::node& node, const Text& text, const std::string& key, const std::string& name, Entries& entries) {
  if (const auto* table = node.as_table()) {
    for (const auto& [child, value] : *table)
      flatten(value, text, key.empty() ? std::string(child.str()) : key + "." + std::string(child.str()), name, entries);
    return;
  }
  const auto* array = node.as_array();
  if (array != nullptr && (array->empty() || array->is_array_of_tables())) forget(key, entries);
  const std::string place = place_of(node, name);
  if (array != nullptr && array->is_array_of_tables()) {
    entries[key] = {{std::vector<Value>(array->size(), Value{TablePlace{}})}, place};  // a table may be empty
    for (size_t i = 0; i < array->size(); ++i) flatten(*array->get(i), text, key + "." + std::to_string(i), name, entries);
    return;
  }
  entries.insert_or_assign(key, ConfigSource::Entry{to_value(node, text, key, place), place});
}

}  // namespace

std::string kind_of(const Value& value) {
  constexpr const char* kinds[] = {"a boolean", "an integer", "a number", "a string", "an array", "a table"};
  return kinds[value.data.index()];
}

void ConfigSource::add_toml(const std::string& text, const std::string& name) {
  toml::table table;
  try {
    table = parsed_toml(text, name);
  } catch (const toml::parse_error& error) {
    fail(__FILE__, __LINE__, name, ":", error.source().begin.line, ": not valid TOML: ", error.description());
  }
  flatten(table, Text(text), "", name, entries_);
}

void ConfigSource::add_override(const std::string& word) {
  const size_t equals = word.find('=');
  LAWA_CHECK(equals != std::string::npos && equals > 0, "expected key=value, got: ", word);
  const std::string key = word.substr(0, equals), text = word.substr(equals + 1);
  LAWA_CHECK(!text.empty(), key, " (command line): has no value; an empty string is ", key, "='\"\"'");
  const std::string line = "value = " + text + "\n";
  toml::table table;
  try {
    table = parsed_toml(line, key + " (command line)");
  } catch (const toml::parse_error&) {
    table.clear();
  }
  const Text where(line);
  const toml::node* node = table.size() == 1 ? table.get("value") : nullptr;
  const auto is_all = [&](const toml::node& scalar) { return where.written(scalar) == text.substr(0, text.find_last_not_of(" \t") + 1); };
  if (node == nullptr || node->is_table() || (node->is_value() && !node->is_string() && !is_all(*node)))
    table = toml::table{{"value", text}};  // a folder may well be named 7#b
  flatten(*table.get("value"), where, key, "", entries_);
}

std::optional<size_t> ConfigSource::list_length(const std::string& key) const {
  size_t length = 0;
  if (const Entry* entry = find(key)) {
    const auto* array = std::get_if<std::vector<Value>>(&entry->value.data);
    LAWA_CHECK(array != nullptr && std::ranges::all_of(*array, is_table), key, " (", entry->place, "): expected a list of tables, [[", key, "]], got ",
               kind_of(entry->value));
    length = array->size();
  }
  for (auto entry = entries_.lower_bound(key + "."); entry != entries_.end() && entry->first.starts_with(key + "."); ++entry) {
    const size_t begin = key.size() + 1, end = std::min(entry->first.find('.', begin), entry->first.size());
    const std::string number = entry->first.substr(begin, end - begin);
    const bool counts = !number.empty() && number.size() < 4 && number.find_first_not_of("0123456789") == std::string::npos;
    LAWA_CHECK(counts && number == std::to_string(std::stoul(number)), entry->first, " (",
               entry->second.place, "): ", key, " is a list of tables: [[", key, "]], or ", key, ".0.… on the command line");
    LAWA_CHECK(find(key) == nullptr || std::stoul(number) < length, entry->first, " (", entry->second.place, "): ", key, " has ", length,
               length == 1 ? " table" : " tables", ", counted from 0");
    length = std::max(length, std::stoul(number) + 1);
  }
  for (size_t i = 0; i < length && find(key) == nullptr; ++i) {
    const std::string table = key + "." + std::to_string(i) + ".";
    const auto entry = entries_.lower_bound(table);
    LAWA_CHECK(entry != entries_.end() && entry->first.starts_with(table), key, ": table ", length - 1, " is given, and table ", i,
               " isn't");
  }
  if (length == 0 && find(key) == nullptr) return std::nullopt;
  return length;
}

const ConfigSource::Entry* ConfigSource::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string ConfigSource::where(const std::string& key) const {
  const Entry* entry = find(key);
  return entry == nullptr ? "" : " (" + entry->place + ")";
}

}  // namespace lawa
