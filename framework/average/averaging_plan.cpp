#include "average/averaging_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lawa {
namespace {

/// Snapshots, and how many may be of one step: theirs are found / sharing.
struct Snapshots {
  std::vector<int64_t> found;
  int64_t sharing;

  size_t size() const { return found.size(); }
  int64_t operator[](size_t i) const { return found[i]; }
  int64_t step(size_t i) const { return found[i] / sharing; }
  /// No step has snapshots on both sides of a place between two of them.
  bool between_steps(size_t place) const { return place == 0 || place == size() || step(place) != step(place - 1); }
};

/// The steps that an average may hold.
Snapshots snapshots(const AverageSpec& spec, const std::vector<int64_t>& steps, int64_t sharing) {
  Snapshots found{{}, sharing};
  for (const int64_t step : steps)
    if (is_snapshot(spec, step / sharing)) found.found.push_back(step);
  for (size_t i = 1; spec.stride > 0 && i < found.size(); ++i)
    LAWA_CHECK(!found.between_steps(i) || found.step(i) - found.step(i - 1) == spec.stride, "averaging.stride: there is no checkpoint of step ",
               found.step(i - 1) + spec.stride, ", between ", found.step(i - 1), " and ", found.step(i));
  return found;
}

/// c_1 … c_k from the oldest checkpoint to the newest -> the weights c_i - c_(i+1), with c_(k+1) = 0.
std::vector<double> weights_of_curve(std::vector<double> curve) {
  for (size_t i = 0; i + 1 < curve.size(); ++i) curve[i] -= curve[i + 1];
  return curve;
}

/// The weights of a window of k checkpoints, oldest first.
std::vector<double> window_weights(const AveragingConfig& config, Scheme scheme, size_t k) {
  std::vector<double> weights(k, 1.0);
  if (scheme == Scheme::weights) return config.weights;
  if (scheme == Scheme::curve) return weights_of_curve(config.curve);
  for (size_t i = 0; i < k; ++i) {
    if (scheme == Scheme::linear) weights[i] = static_cast<double>(i + 1);
    if (scheme == Scheme::one_minus_sqrt) weights[i] = 1 - std::sqrt(static_cast<double>(i) / static_cast<double>(k));
  }
  return scheme == Scheme::one_minus_sqrt ? weights_of_curve(weights) : weights;
}

/// Snapshots [begin, end) with the weights.
Average average_of(const AverageSpec& spec, const Snapshots& found, size_t begin, size_t end, const std::vector<double>& weights) {
  Average average{.spec = spec, .members = {}};
  for (size_t i = begin; i < end; ++i) average.members.push_back({found[i], weights[i - begin]});
  return average;
}

/// An average of that step is asked for.
bool is_wanted(const AveragingConfig& config, int64_t step) { return config.at.empty() || std::ranges::count(config.at, step) > 0; }

std::vector<Average> windows(const AveragingConfig& config, const AverageSpec& spec, const Snapshots& found) {
  const bool released = spec.scheme == Scheme::lawa_released, disjoint = released || spec.scheme == Scheme::tumbling;
  auto k = static_cast<size_t>(spec.window);
  if (k > found.size() && (!released || found.size() < 2)) return {};
  k = std::min(k, found.size());  // the released one averages fewer as well
  const std::vector<double> weights = window_weights(config, spec.scheme, k);
  std::vector<Average> averages;
  const auto add = [&](size_t begin, size_t end, const std::vector<double>& of) {
    const int64_t step = found.step(end - 1);
    if ((!disjoint && !found.between_steps(end)) || !is_wanted(config, step)) return;
    LAWA_CHECK(found.between_steps(begin) && found.between_steps(end), "averaging.window: ", end - begin, " checkpoints up to step ", step,
               " would be only a part of those of step ", found.step(found.between_steps(begin) ? end - 1 : begin),
               "; name as many of every step, and a window that holds all of them");
    averages.push_back(average_of(spec, found, begin, end, of));
  };
  size_t end = k;
  for (; end <= found.size(); end += disjoint ? k : 1) add(end - k, end, weights);
  const size_t rest = found.size() + k - end;
  if (released && rest > 1) add(found.size() - rest, found.size(), weights);
  return averages;
}

/// swa and ema: the average at a snapshot holds all of them so far.
std::vector<Average> growing(const AverageSpec& spec, const Snapshots& found) {
  std::vector<Average> averages;
  std::vector<double> weights;
  for (size_t n = 1; n <= found.size(); ++n) {
    const bool ema = spec.scheme == Scheme::ema;
    const double keep = ema ? kept(spec, static_cast<int64_t>(n) - 1, found.step(n - 1)) : 1;
    for (double& weight : weights) weight *= keep;
    weights.push_back(ema ? 1 - keep : 1);
    if (n > 1 && found.between_steps(n)) averages.push_back(average_of(spec, found, 0, n, weights));
  }
  return averages;
}

/// The places of a grid: window by window within stride by stride.
std::vector<AverageSpec> grid(const AveragingConfig& config) {
  AverageSpec spec{.scheme = scheme_of(config.scheme, "averaging.scheme"), .first = config.first, .last = config.last};
  if (spec.scheme == Scheme::ema) spec.beta = config.beta;
  std::vector<AverageSpec> places;
  for (const int64_t stride : config.stride)
    for (const int64_t window : has_window(spec.scheme) ? config.window : std::vector<int64_t>{0}) {
      spec.window = window;
      spec.stride = stride;
      places.push_back(spec);
    }
  return places;
}

}  // namespace

bool Average::uniform() const {
  return std::ranges::all_of(members, [&](const Member& member) { return member.weight == members[0].weight; });
}

void check(const AveragingConfig& c, const ConfigSource& source) {
  LAWA_CHECK(!c.window.empty(), "averaging.window", source.where("averaging.window"), ": names no window");
  LAWA_CHECK(!c.stride.empty(), "averaging.stride", source.where("averaging.stride"), ": names no stride");
  const Scheme scheme = scheme_of(c.scheme, "averaging.scheme" + source.where("averaging.scheme"));
  for (const auto& [of, values] : {std::pair{Scheme::weights, &c.weights}, std::pair{Scheme::curve, &c.curve}}) {
    if (scheme != of) continue;
    const std::string key = "averaging." + name(of), place = source.where(key);
    LAWA_CHECK(c.window.size() == 1 && std::ssize(*values) == c.window[0], key, place, ": ", values->size(),
               " values for a window", source.where("averaging.window"), " of ", c.window[0]);
    LAWA_CHECK(std::ranges::any_of(*values, [](double x) { return x > 0; }), key, place, ": all values are zero");
    LAWA_CHECK(std::isfinite(std::accumulate(values->begin(), values->end(), 0.0)), key, place, ": their sum is no number any more");
  }
  LAWA_CHECK(scheme != Scheme::curve || std::ranges::is_sorted(c.curve, std::greater<>()), "averaging.curve",
             source.where("averaging.curve"), ": must not rise");
  const std::vector<std::pair<std::string, Scheme>> owners{{"weights", Scheme::weights}, {"curve", Scheme::curve}, {"beta", Scheme::ema}};
  for (const auto& [word, owner] : owners) {
    const std::string key = "averaging." + word;
    LAWA_CHECK(source.find(key) == nullptr || scheme == owner, key, source.where(key), ": means nothing to ", name(scheme),
               source.where("averaging.scheme"));
  }
}

std::vector<Average> averaging_plan(const AveragingConfig& config, const std::vector<int64_t>& steps, int64_t sharing) {
  const auto duplicate = std::ranges::adjacent_find(steps);
  LAWA_CHECK(duplicate == steps.end(), "two of the checkpoints have step ", *duplicate);
  std::vector<Average> plan;
  std::string shortage;
  for (const AverageSpec& spec : grid(config)) {
    const Snapshots found = snapshots(spec, steps, sharing);
    std::vector<Average> averages = has_window(spec.scheme) ? windows(config, spec, found) : growing(spec, found);
    std::erase_if(averages, [&](const Average& a) { return !is_wanted(config, a.step() / sharing); });
    plan.insert(plan.end(), averages.begin(), averages.end());
    if (averages.empty() && shortage.empty())
      shortage = concat(has_window(spec.scheme) ? spec.window : 2, " checkpoints are needed",
                        spec.stride > 0 ? concat(" at multiples of ", spec.stride, " steps") : "", ", and there are ", found.size());
  }
  for (const int64_t step : config.at)
    LAWA_CHECK(std::ranges::any_of(plan, [&](const Average& a) { return a.step() / sharing == step; }), "averaging.at: no average ends at step ", step);
  LAWA_CHECK(!plan.empty(), "averaging.window: ", shortage);
  return plan;
}

}  // namespace lawa
