// Configs: a config is a plain struct, and its one `visit` names each key, its unit and its help. Reading, writing, --help and
// the hashes all come from it.
//
//   struct ScheduleConfig { int64_t steps = 1000; double peak_lr = 6e-4; };
//   template <class V> void visit(ScheduleConfig& c, V&& v) {
//     v("steps",   c.steps,   "optimizer steps", at_least(1));
//     v("peak_lr", c.peak_lr, "learning rate after the warm-up", positive());
//   }
#pragma once
#include <concepts>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/config_source.hpp"
#include "core/error.hpp"

namespace lawa {

/// Which values of a key are legal.
struct Limit {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool low_is_legal = true;
  std::vector<std::string> choices{};  ///< for strings; empty: any
};
inline Limit at_least(double low) { return {.low = low}; }
inline Limit positive() { return {.low = 0, .low_is_legal = false}; }
inline Limit between(double low, double high) { return {.low = low, .high = high}; }
inline Limit one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }

/// Types of a key's value; everything else is a nested config with a visit() of its own.
template <class T>
concept ConfigValue = std::same_as<T, bool> || std::same_as<T, int64_t> || std::same_as<T, uint64_t> || std::same_as<T, double> ||
                      std::same_as<T, std::string> || std::same_as<T, std::vector<std::string>> ||
                      std::same_as<T, std::vector<int64_t>> || std::same_as<T, std::vector<double>>;

/// Calls f(dotted key, field, help, limit) for every key, in the order of the visit functions.
template <class Config, class F>
void each_field(Config& config, const std::string& prefix, F&& f) {
  visit(config, [&]<class T>(const char* name, T& field, const std::string& help, const Limit& limit = {}) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    if constexpr (ConfigValue<T>)
      f(key, field, help, limit);
    else
      each_field(field, key, f);
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
std::string nearest(const std::string& key, const std::set<std::string>& known);
}  // namespace detail

/// Puts the source's values over what the config holds. Errors name the key and its place: unknown key, wrong type, a value
/// outside its limits.
template <class Config>
void apply(Config& config, const ConfigSource& source) {
  std::set<std::string> known;
  each_field(config, "", [&](const std::string& key, auto& field, const std::string&, const Limit& limit) {
    known.insert(key);
    if (const auto* entry = source.find(key)) detail::assign(field, key, *entry, limit);
  });
  for (const auto& [key, entry] : source.entries())
    LAWA_CHECK(known.contains(key), "unknown key ", key, " (", entry.place, ")", detail::nearest(key, known));
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

/// One "key = value" a line, valid TOML; load_config reads it back to the same config.
template <class Config>
std::string dump_config(Config config, bool with_help = false) {
  std::string text;
  each_field(config, "", [&](const std::string& key, auto& field, const std::string& help, const Limit&) {
    std::string line = key + " = " + detail::to_toml(field);
    if (with_help) line += std::string(line.size() < 44 ? 44 - line.size() : 1, ' ') + "# " + help;
    text += line + "\n";
  });
  return text;
}

}  // namespace lawa
