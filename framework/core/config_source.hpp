// What the user wrote: TOML files and key=value words, flattened to dotted keys that remember where they stand.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lawa {

/// In the place of a table in a list of tables: its keys are entries of their own.
struct TablePlace {};
/// A TOML value: a scalar or an array.
struct Value {
  std::variant<bool, int64_t, double, std::string, std::vector<Value>, TablePlace> data;
  std::string text{};  ///< of a scalar without quotes, as it was written: a folder may well be named 2026
};

/// The kind of a value in words: "an integer", "a string", …
std::string kind_of(const Value& value);

/// Later entries replace earlier ones: defaults < files in their order < key=value. A list of tables replaces an earlier list as a
/// whole; a key inside it, averages.0.window, only itself.
class ConfigSource {
 public:
  struct Entry {
    Value value;
    std::string place;  ///< "train.toml:12" or "command line"
  };

  static constexpr const char* command_line = "command line";  ///< the place of a word's entry

  /// Adds a TOML text; `name` is the file's, for messages. Tables become dotted keys, [[tables]] get numbers: "averages.0.window".
  /// Errors: the text isn't TOML (names file and line); arrays with tables in them. A date or time is a string.
  void add_toml(const std::string& text, const std::string& name);
  /// Adds "key=value". The value is read as TOML; what isn't TOML is a string, so that paths need no quotes.
  void add_override(const std::string& word);

  /// The entry of a key, or null.
  const Entry* find(const std::string& key) const;
  /// How many tables a list has here; nothing where it isn't mentioned. Errors: tables are left out, or it isn't a list of tables.
  std::optional<size_t> list_length(const std::string& key) const;
  /// " (train.toml:12)" for messages, or "" when the key has its default.
  std::string where(const std::string& key) const;
  const std::map<std::string, Entry>& entries() const { return entries_; }
  /// Forgets the entry of a key.
  void drop(const std::string& key) { entries_.erase(key); }

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace lawa
