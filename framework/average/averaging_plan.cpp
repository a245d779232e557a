#include "average/averaging_plan.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace lawa {
namespace {

/// The steps that an average may hold.
std::vector<int64_t> snapshots(const AveragingConfig& config, int64_t stride, const std::vector<int64_t>& steps) {
  std::vector<int64_t> found;
  for (const int64_t step : steps)
    if (is_snapshot(step, stride, config.first, config.last)) found.push_back(step);
  for (size_t i = 1; stride > 0 && i < found.size(); ++i)
    LAWA_CHECK(found[i] - found[i - 1] == stride, "averaging.stride: there is no checkpoint of step ", found[i - 1] + stride,
               ", between ", found[i - 1], " and ", found[i]);
  return found;
}

/// c_1 … c_k from the oldest checkpoint to the newest -> the weights c_i - c_(i+1), with c_(k+1) = 0.
std::vector<double> weights_of_curve(std::vector<double> curve) {
  for (size_t i = 0; i + 1 < curve.size(); ++i) curve[i] -= curve[i + 1];
  return curve;
}

/// The weights of a window of k checkpoints, oldest first.
std::vector<double> window_weights(const AveragingConfig& config, size_t k) {
  std::vector<double> weights(k, 1.0);
  if (config.scheme == "weights") return config.weights;
  if (config.scheme == "curve") return weights_of_curve(config.curve);
  for (size_t i = 0; i < k; ++i) {
    if (config.scheme == "linear") weights[i] = static_cast<double>(i + 1);
    if (config.scheme == "1-sqrt") weights[i] = 1 - std::sqrt(static_cast<double>(i) / static_cast<double>(k));
  }
  return config.scheme == "1-sqrt" ? weights_of_curve(weights) : weights;
}

/// Snapshots [begin, end) with the weights.
Average average_of(const std::vector<int64_t>& found, size_t begin, size_t end, const std::vector<double>& weights) {
  Average average;
  for (size_t i = begin; i < end; ++i) average.members.push_back({found[i], weights[i - begin]});
  return average;
}

std::vector<Average> windows(const AveragingConfig& config, size_t k, const std::vector<int64_t>& found) {
  const bool disjoint = config.scheme == "tumbling" || config.scheme == "lawa_released";
  if (k > found.size() && (config.scheme != "lawa_released" || found.size() < 2)) return {};
  k = std::min(k, found.size());  // the released one averages fewer as well
  const std::vector<double> weights = window_weights(config, k);
  std::vector<Average> averages;
  size_t end = k;
  for (; end <= found.size(); end += disjoint ? k : 1) averages.push_back(average_of(found, end - k, end, weights));
  const size_t rest = found.size() + k - end;
  if (config.scheme == "lawa_released" && rest > 1) averages.push_back(average_of(found, found.size() - rest, found.size(), weights));
  return averages;
}

/// swa and ema: the average at a snapshot holds all of them so far.
std::vector<Average> growing(const AveragingConfig& config, const std::vector<int64_t>& found) {
  std::vector<Average> averages;
  std::vector<double> weights;
  for (size_t n = 1; n <= found.size(); ++n) {
    const bool ema = config.scheme == "ema";
    if (ema)
      for (double& weight : weights) weight *= config.beta;
    weights.push_back(ema && n > 1 ? 1 - config.beta : 1);
    if (n > 1) averages.push_back(average_of(found, 0, n, weights));
  }
  return averages;
}

bool has_windows(const AveragingConfig& config) { return config.scheme != "swa" && config.scheme != "ema"; }

/// The averages of one place in the grid.
std::vector<Average> grid_cell(const AveragingConfig& config, int64_t window, int64_t stride, const std::vector<int64_t>& found) {
  std::vector<Average> averages =
      has_windows(config) ? windows(config, static_cast<size_t>(window), found) : growing(config, found);
  for (Average& average : averages) {
    average.window = has_windows(config) ? window : 0;
    average.stride = stride;
  }
  if (!config.at.empty()) std::erase_if(averages, [&](const Average& a) { return std::ranges::count(config.at, a.step()) == 0; });
  return averages;
}

}  // namespace

std::string folder_name(const std::string& scheme, int64_t window, int64_t stride) {
  char k[32] = "", nu[32];
  if (window > 0) std::snprintf(k, sizeof k, "_k%03lld", static_cast<long long>(window));
  std::snprintf(nu, sizeof nu, "_nu%06lld", static_cast<long long>(stride));
  return (scheme == "sliding" ? "lawa" : scheme) + k + nu;
}

bool Average::uniform() const {
  return std::ranges::all_of(members, [&](const Member& member) { return member.weight == members[0].weight; });
}

void check(const AveragingConfig& c, const ConfigSource& source) {
  LAWA_CHECK(!c.window.empty(), "averaging.window", source.where("averaging.window"), ": names no window");
  LAWA_CHECK(!c.stride.empty(), "averaging.stride", source.where("averaging.stride"), ": names no stride");
  for (const auto& [scheme, values] : {std::pair{"weights", &c.weights}, std::pair{"curve", &c.curve}}) {
    if (c.scheme != scheme) continue;
    const std::string key = std::string("averaging.") + scheme, place = source.where(key);
    LAWA_CHECK(c.window.size() == 1 && std::ssize(*values) == c.window[0], key, place, ": ", values->size(),
               " values for a window", source.where("averaging.window"), " of ", c.window[0]);
    LAWA_CHECK(std::ranges::any_of(*values, [](double x) { return x > 0; }), key, place, ": all values are zero");
    LAWA_CHECK(std::isfinite(std::accumulate(values->begin(), values->end(), 0.0)), key, place, ": their sum is no number any more");
  }
  LAWA_CHECK(c.scheme != "curve" || std::ranges::is_sorted(c.curve, std::greater<>()), "averaging.curve",
             source.where("averaging.curve"), ": must not rise");
  for (const std::string name : {"weights", "curve", "beta"}) {
    const std::string key = "averaging." + name;
    LAWA_CHECK(source.find(key) == nullptr || c.scheme == (name == "beta" ? "ema" : name), key, source.where(key), ": means nothing to ",
               c.scheme, source.where("averaging.scheme"));
  }
}

std::vector<Average> averaging_plan(const AveragingConfig& config, const std::vector<int64_t>& steps) {
  const auto duplicate = std::ranges::adjacent_find(steps);
  LAWA_CHECK(duplicate == steps.end(), "two of the checkpoints have step ", *duplicate);
  std::vector<Average> plan;
  std::string shortage;
  for (const int64_t stride : config.stride) {
    const auto found = snapshots(config, stride, steps);
    for (const int64_t window : has_windows(config) ? config.window : std::vector<int64_t>{0}) {
      const auto cell = grid_cell(config, window, stride, found);
      plan.insert(plan.end(), cell.begin(), cell.end());
      if (cell.empty() && shortage.empty())
        shortage = concat(has_windows(config) ? window : 2, " checkpoints are needed",
                          stride > 0 ? concat(" at multiples of ", stride, " steps") : "", ", and there are ", found.size());
    }
  }
  for (const int64_t step : config.at)
    LAWA_CHECK(std::ranges::any_of(plan, [&](const Average& a) { return a.step() == step; }), "averaging.at: no average ends at step ", step);
  LAWA_CHECK(!plan.empty(), "averaging.window: ", shortage);
  return plan;
}

}  // namespace lawa
