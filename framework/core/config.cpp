#include "core/config.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/json.hpp"
#include "core/path_words.hpp"

namespace lawa::detail {
namespace {

template <class T>
const T& get(const ConfigSource::Entry& entry, const std::string& key, const char* expected) {
  const T* value = std::get_if<T>(&entry.value.data);
  LAWA_CHECK(value != nullptr, key, " (", entry.place, "): expected ", expected, ", got ", kind_of(entry.value));
  return *value;
}

void check_limits(double value, const std::string& text, const std::string& key, const std::string& place, const Limit& limit) {
  LAWA_CHECK(value > limit.low || (limit.low_is_legal && value == limit.low), key, " (", place, "): ", text, " must be ",
             limit.low_is_legal ? "at least " : "greater than ", limit.low);
  LAWA_CHECK(value <= limit.high, key, " (", place, "): ", text, " must be at most ", limit.high);
}

/// An array, or one value without brackets.
template <class T>
void assign_each(std::vector<T>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  const auto* array = std::get_if<std::vector<Value>>(&entry.value.data);
  field.clear();
  for (const Value& value : array != nullptr ? *array : std::vector<Value>{entry.value})
    assign(field.emplace_back(), key, {value, entry.place}, limit);
}

template <class T>
std::string to_array(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text += (text.size() > 1 ? ", " : "") + to_toml(value);
  return text + "]";
}

}  // namespace

void assign(bool& field, const std::string& key, const ConfigSource::Entry& entry, const Limit&) {
  field = get<bool>(entry, key, "a boolean");
}
void assign(int64_t& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  field = get<int64_t>(entry, key, "an integer");
  check_limits(static_cast<double>(field), std::to_string(field), key, entry.place, limit);
}
void assign(uint64_t& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  const int64_t value = get<int64_t>(entry, key, "an integer");
  LAWA_CHECK(value >= 0, key, " (", entry.place, "): ", value, " must be at least 0");
  check_limits(static_cast<double>(value), std::to_string(value), key, entry.place, limit);
  field = static_cast<uint64_t>(value);
}
void assign(double& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  const auto* whole = std::get_if<int64_t>(&entry.value.data);
  field = whole != nullptr ? static_cast<double>(*whole) : get<double>(entry, key, "a number");
  LAWA_CHECK(std::isfinite(field), key, " (", entry.place, "): ", field, " is not a finite number");
  check_limits(field, to_toml(field), key, entry.place, limit);
}
void assign(std::string& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  field = entry.value.text.empty() ? get<std::string>(entry, key, "a string") : entry.value.text;
  if (limit.is_path) field = path_of(field, key + " (" + entry.place + ")");
  if (limit.choices.empty() || std::ranges::count(limit.choices, field) > 0) return;
  std::string choices;
  for (const std::string& choice : limit.choices) choices += (choices.empty() ? "" : ", ") + choice;
  fail(__FILE__, __LINE__, key, " (", entry.place, "): \"", field, "\" must be one of: ", choices);
}
void assign(std::vector<std::string>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  assign_each(field, key, entry, limit);
}
void assign(std::vector<int64_t>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  assign_each(field, key, entry, limit);
}
void assign(std::vector<double>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit) {
  assign_each(field, key, entry, limit);
}

std::string to_toml(bool value) { return value ? "true" : "false"; }
std::string to_toml(int64_t value) { return std::to_string(value); }
std::string to_toml(uint64_t value) { return std::to_string(value); }
std::string to_toml(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, result.ptr);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}
std::string to_toml(const std::string& value) {
  std::string text;
  try {
    text = Json(value).dump();  // JSON's strings are TOML's basic strings, but for one character
  } catch (const Json::exception&) {
    fail(__FILE__, __LINE__, "a text in the config is not UTF-8: ", value);
  }
  for (size_t at; (at = text.find('\x7f')) != std::string::npos;) text.replace(at, 1, "\\u007f");
  return text;
}
std::string to_toml(const std::vector<std::string>& value) { return to_array(value); }
std::string to_toml(const std::vector<int64_t>& value) { return to_array(value); }
std::string to_toml(const std::vector<double>& value) { return to_array(value); }

}  // namespace lawa::detail
