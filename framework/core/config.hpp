// Configs: a config is a plain struct, and its one `visit` names each key, its unit and its help. Reading, writing, --help and
// the hashes all come from it.
//
//   struct ScheduleConfig { int64_t steps = 1000; double peak_lr = 6e-4; };
//   template <class V> void visit(ScheduleConfig& c, V&& v) {
//     v("steps",   c.steps,   "optimizer steps", at_least(1));
//     v("peak_lr", c.peak_lr, "learning rate after the warm-up", positive());
//   }
//
// A std::vector of such structs is a list of tables: [[averages]], whose keys are averages.0.window ….
#pragma once
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/config_source.hpp"
#include "core/error.hpp"
#include "core/nearest_key.hpp"

namespace lawa {

/// Which values of a key are legal.
struct Limit {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool low_is_legal = true;
  std::vector<std::string> choices{};  ///< for strings; empty: any
  bool is_path = false;                ///< for strings: ~ and $NAME stand for what they do in a shell
  std::string only_with{};             ///< what the key needs and doesn't have: giving it is an error, and no dump has it
  bool unsaid = false;                 ///< no dump has it
};
inline Limit at_least(double low) { return {.low = low}; }
inline Limit positive() { return {.low = 0, .low_is_legal = false}; }
inline Limit between(double low, double high) { return {.low = low, .high = high}; }
inline Limit a_path() { return {.is_path = true}; }
inline Limit one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }
/// For a key that means something only where `what` holds.
inline Limit only_with(const std::string& what, bool holds, Limit limit = {}) {
  if (!holds) limit.only_with = what;
  return limit;
}
/// For a key that came later than files and hashes that don't know it: they stay as they are while it is what it always was.
inline Limit unsaid_where(bool usual) { return {.unsaid = usual}; }

/// Types of a key's value; everything else is a nested config with a visit() of its own.
template <class T>
concept ConfigValue = std::same_as<T, bool> || std::same_as<T, int64_t> || std::same_as<T, uint64_t> || std::same_as<T, double> ||
                      std::same_as<T, std::string> || std::same_as<T, std::vector<std::string>> ||
                      std::same_as<T, std::vector<int64_t>> || std::same_as<T, std::vector<double>>;

/// A list of nested configs.
template <class T>
concept ConfigList = !ConfigValue<T> && requires(T& list) {
  list.emplace_back();
  list.size();
};

inline std::string dotted(const std::string& prefix, const std::string& name) { return prefix.empty() ? name : prefix + "." + name; }

/// Calls f(dotted key, field, help, limit) for every key, in the order of the visit functions; at_list(dotted key, list) before the
/// keys of a list.
template <class Config, class F, class AtList>
void each_field(Config& config, const std::string& prefix, F&& f, AtList&& at_list) {
  visit(config, [&]<class T>(const char* name, T& field, const std::string& help, const Limit& limit = {}) {
    const std::string key = dotted(prefix, name);
    if constexpr (ConfigValue<T>) {
      f(key, field, help, limit);
    } else if constexpr (ConfigList<T>) {
      at_list(key, field);
      for (size_t i = 0; i < field.size(); ++i) each_field(field[i], dotted(key, std::to_string(i)), f, at_list);
    } else {
      each_field(field, key, f, at_list);
    }
  });
}

namespace detail {
void assign(bool& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(int64_t& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(uint64_t& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(double& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(std::string& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(std::vector<std::string>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(std::vector<int64_t>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
void assign(std::vector<double>& field, const std::string& key, const ConfigSource::Entry& entry, const Limit& limit);
std::string to_toml(bool value);
std::string to_toml(int64_t value);
std::string to_toml(uint64_t value);
std::string to_toml(double value);
std::string to_toml(const std::string& value);
std::string to_toml(const std::vector<std::string>& value);
std::string to_toml(const std::vector<int64_t>& value);
std::string to_toml(const std::vector<double>& value);
}  // namespace detail

/// Puts the source's values over what the config holds. Errors name the key and its place: unknown key, wrong type, a value
/// outside its limits, a key that the others make meaningless.
template <class Config>
void apply(Config& config, const ConfigSource& source) {
  std::map<std::string, std::string> known;  // and what each key's help says
  const auto assign = [&](const std::string& key, auto& field, const std::string& help, const Limit& limit) {
    known.emplace(key, help);
    const auto* entry = source.find(key);
    if (entry == nullptr) return;
    LAWA_CHECK(limit.only_with.empty(), key, " (", entry->place, "): is only for ", limit.only_with);
    detail::assign(field, key, *entry, limit);
  };
  const auto resize = [&](const std::string& key, auto& list) {
    known.emplace(key, "");
    if (const auto length = source.list_length(key)) list.resize(*length);
  };
  each_field(config, "", assign, resize);
  for (const auto& [key, entry] : source.entries())
    LAWA_CHECK(known.contains(key), "unknown key ", key, " (", entry.place, ")", nearest_keys(key, known));
}

/// Every key that a config can have; of a list's tables those of the first.
template <class Config>
std::set<std::string> keys_of() {
  Config config;
  std::set<std::string> keys;
  const auto at_list = [&](const std::string& key, auto& list) {
    keys.insert(key);
    list.resize(1);
  };
  each_field(config, "", [&](const std::string& key, auto&, const std::string&, const Limit&) { keys.insert(key); }, at_list);
  return keys;
}

/// The defaults of Config with the source's values over them. Errors: apply's; then what check(config, source) refuses, where the
/// config has one.
template <class Config>
Config load_config(const ConfigSource& source) {
  Config config;
  apply(config, source);
  if constexpr (requires { check(config, source); }) check(config, source);
  return config;
}

namespace detail {

/// Adds a config's keys to `lines`, and the tables of its lists, which TOML wants behind all keys, to `tables`.
template <class Config>
void dump_fields(Config& config, const std::string& prefix, bool with_help, std::string& lines, std::string& tables) {
  visit(config, [&]<class T>(const char* name, T& field, const std::string& help, const Limit& limit = {}) {
    const std::string key = dotted(prefix, name);
    if constexpr (ConfigValue<T>) {
      const std::string needed = limit.only_with;
      if (!with_help && (!needed.empty() || limit.unsaid)) return;
      std::string line = (needed.empty() ? "" : "# ") + key + " = " + to_toml(field);
      if (with_help) line += std::string(line.size() < 44 ? 44 - line.size() : 1, ' ') + "# " + help + (needed.empty() ? "" : "; only with " + needed);
      lines += line + "\n";
    } else if constexpr (ConfigList<T>) {
      T list = field;
      if (with_help && list.empty()) list.emplace_back();  // help shows what a table may hold
      for (auto& element : list) {
        tables += "\n[[" + key + "]]" + (with_help ? "  # " + help : "") + "\n";
        dump_fields(element, "", with_help, tables, tables);
      }
    } else {
      dump_fields(field, key, with_help, lines, tables);
    }
  });
}

}  // namespace detail

/// One "key = value" a line, then the tables of lists: valid TOML; load_config reads it back to the same config.
template <class Config>
std::string dump_config(Config config, bool with_help = false) {
  std::string lines, tables;
  detail::dump_fields(config, "", with_help, lines, tables);
  return lines + tables;
}

}  // namespace lawa
