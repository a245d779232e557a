#include "average/online_config.hpp"

#include <set>

#include "average/averaging_plan.hpp"

namespace lawa {

void check(const std::vector<OnlineAverageConfig>& averages, const ConfigSource& source) {
  std::set<std::string> names;
  for (size_t i = 0; i < averages.size(); ++i) {
    const std::string key = "averages." + std::to_string(i);
    const OnlineAverageConfig& c = averages[i];
    const auto check_meaning = [&](const std::string& name, bool is_set, const char* scheme) {
      LAWA_CHECK(!is_set || c.scheme == scheme, key, ".", name, source.where(key + "." + name), ": means nothing to ", c.scheme);
    };
    const OnlineAverageConfig unset;
    check_meaning("window", c.window != unset.window, "lawa");
    check_meaning("beta", c.beta != unset.beta, "ema");
    check_meaning("warmup", c.warmup != unset.warmup, "ema");
    LAWA_CHECK(names.insert(name_of(averages[i])).second, key, source.where(key + ".scheme"), ": ", name_of(averages[i]), " is there twice");
  }
}

std::string name_of(const OnlineAverageConfig& c) {
  std::string name = c.scheme + "(";
  if (c.scheme == "lawa") name += "k=" + std::to_string(c.window) + ",";
  if (c.scheme == "ema") name += "beta=" + detail::to_toml(c.beta) + ",";
  name += "nu=" + std::to_string(c.stride);
  if (c.first > 0) name += ",first=" + std::to_string(c.first);
  if (c.last > 0) name += ",last=" + std::to_string(c.last);
  if (c.scheme == "ema" && c.warmup) name += ",warmup";
  return name + ")";
}

std::string folder_of(const OnlineAverageConfig& c) {
  std::string folder = folder_name(c.scheme, c.scheme == "lawa" ? c.window : 0, c.stride);
  if (c.scheme == "ema") folder += "_beta" + detail::to_toml(c.beta) + (c.warmup ? "_warmup" : "");
  if (c.first > 0) folder += "_first" + std::to_string(c.first);
  if (c.last > 0) folder += "_last" + std::to_string(c.last);
  return folder;
}

}  // namespace lawa
