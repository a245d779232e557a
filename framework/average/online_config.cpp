#include "average/online_config.hpp"

#include <algorithm>
#include <set>

namespace lawa {
namespace {

/// One entry by itself; `key` is its own, "averages.0".
void check_keys(const OnlineAverageConfig& c, const std::string& key, const ParameterTable& table, const ConfigSource& source) {
  const auto place = [&](const std::string& name) { return concat(key, ".", name, source.where(key + "." + name)); };
  const OnlineAverageConfig unset;
  const std::vector<std::pair<std::string, bool>> decays{{"beta", c.beta != unset.beta},
                                                         {"half_life_steps", c.half_life_steps != unset.half_life_steps},
                                                         {"half_life", c.half_life != unset.half_life}};
  LAWA_CHECK(c.window == unset.window || c.scheme == "lawa", place("window"), ": means nothing to ", c.scheme);
  LAWA_CHECK(!c.warmup || c.scheme == "ema", place("warmup"), ": means nothing to ", c.scheme);
  std::string given;
  for (const auto& [name, is_set] : decays) {
    if (!is_set) continue;
    LAWA_CHECK(c.scheme == "ema", place(name), ": means nothing to ", c.scheme);
    LAWA_CHECK(given.empty(), place(given), " and ", place(name), ": only one of beta, half_life_steps and half_life");
    given = name;
  }
  LAWA_CHECK(!c.save || c.exclude.empty(), place("save"), ": its files would hold all tensors averaged, and ", place("exclude"),
             " leaves some out");
  for (const std::string& entry : c.exclude)
    LAWA_CHECK(std::ranges::any_of(table.parameters(), [&](const Parameter& tensor) { return excludes(entry, tensor.name); }),
               place("exclude"), ": no tensor is ", entry, " or begins with ", entry, ".");
}

}  // namespace

void check(const std::vector<OnlineAverageConfig>& averages, const ParameterTable& table, const ConfigSource& source) {
  std::set<std::string> evaluated, saved;
  for (size_t i = 0; i < averages.size(); ++i) {
    const std::string key = "averages." + std::to_string(i);
    check_keys(averages[i], key, table, source);
    for (const AverageSpec& model : models_of(averages[i]))
      LAWA_CHECK(evaluated.insert(name(model)).second, key, source.where(key + ".scheme"), ": ", name(model), " is there twice");
    const std::string itself = name(spec_of(averages[i])), save = key + ".save";
    LAWA_CHECK(!averages[i].save || saved.insert(itself).second, save, source.where(save), ": ", itself, " is saved twice");
  }
}

AverageSpec spec_of(const OnlineAverageConfig& c) {
  AverageSpec spec{.scheme = scheme_of(c.scheme, "averages"), .stride = c.stride, .first = c.first, .last = c.last};
  if (has_window(spec.scheme)) spec.window = c.window;
  if (spec.scheme == Scheme::ema) {
    spec.half_life_steps = c.half_life_steps;
    spec.half_life = c.half_life;
    if (c.half_life_steps == 0 && c.half_life == 0) spec.beta = c.beta;
    spec.warmup = c.warmup;
  }
  return spec;
}

std::vector<AverageSpec> models_of(const OnlineAverageConfig& c) {
  AverageSpec model = spec_of(c);
  model.exclude = c.exclude;
  std::vector<AverageSpec> models;
  for (const double lambda : c.blend.empty() ? std::vector{1.0} : c.blend) {
    model.blend = lambda;
    models.push_back(model);
  }
  return models;
}

}  // namespace lawa
