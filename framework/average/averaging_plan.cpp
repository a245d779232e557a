#include "average/averaging_plan.hpp"

#include <algorithm>

namespace lawa {
namespace {

/// The steps that a window may hold.
std::vector<int64_t> snapshots(const AveragingConfig& config, const std::vector<int64_t>& steps) {
  std::vector<int64_t> found;
  for (const int64_t step : steps) {
    const bool inside = step > 0 && step >= config.first && (config.last == 0 || step <= config.last);
    if (inside && (config.stride == 0 || step % config.stride == 0)) found.push_back(step);
  }
  for (size_t i = 1; config.stride > 0 && i < found.size(); ++i)
    LAWA_CHECK(found[i] - found[i - 1] == config.stride, "averaging.stride: there is no checkpoint of step ",
               found[i - 1] + config.stride, ", between ", found[i - 1], " and ", found[i]);
  return found;
}

}  // namespace

std::vector<Average> averaging_plan(const AveragingConfig& config, const std::vector<int64_t>& steps) {
  const auto duplicate = std::ranges::adjacent_find(steps);
  LAWA_CHECK(duplicate == steps.end(), "two of the checkpoints have step ", *duplicate);
  const auto found = snapshots(config, steps);
  const auto count = std::ssize(found);
  LAWA_CHECK(count >= config.window, "averaging.window: ", config.window, " checkpoints are needed",
             config.stride > 0 ? concat(" at multiples of ", config.stride, " steps") : "", ", and there are ", count);
  std::vector<Average> plan;
  for (int64_t end = config.window; end <= count; end += config.scheme == "tumbling" ? config.window : 1)
    plan.push_back({found[static_cast<size_t>(end - 1)], {found.begin() + end - config.window, found.begin() + end}});
  return plan;
}

}  // namespace lawa
