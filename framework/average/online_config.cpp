#include "average/online_config.hpp"

#include <set>

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
    const std::string called = name(spec_of(c));
    LAWA_CHECK(names.insert(called).second, key, source.where(key + ".scheme"), ": ", called, " is there twice");
  }
}

AverageSpec spec_of(const OnlineAverageConfig& c) {
  AverageSpec spec{.scheme = scheme_of(c.scheme, "averages"), .stride = c.stride, .first = c.first, .last = c.last};
  if (has_window(spec.scheme)) spec.window = c.window;
  if (spec.scheme == Scheme::ema) spec.beta = c.beta;
  spec.warmup = spec.scheme == Scheme::ema && c.warmup;
  return spec;
}

}  // namespace lawa
