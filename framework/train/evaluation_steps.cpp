#include "train/evaluation_steps.hpp"

#include <algorithm>

namespace lawa {

bool EvaluationSteps::contains(int64_t step, int64_t last) const {
  return (every > 0 && (step % every == 0 || step == last)) || std::ranges::count(at, step) > 0;
}

int64_t EvaluationSteps::newest_before(int64_t step) const {
  int64_t newest = every > 0 ? (step - 1) / every * every : 0;
  for (const int64_t one : at)
    if (one < step) newest = std::max(newest, one);
  return newest;
}

EvaluationSteps evaluation_steps(const EvaluateConfig& run) { return {run.steps, run.at}; }

EvaluationSteps evaluation_steps(const OnlineAverageConfig& average, const EvaluateConfig& run) {
  const EvaluationSteps own{average.evaluate_steps, average.evaluate_at};
  return own.empty() ? evaluation_steps(run) : own;
}

bool is_due(const AverageSpec& average, const EvaluationSteps& steps, int64_t newest, int64_t step, int64_t last) {
  if (!steps.contains(step, last)) return false;
  return average.holds_plain() ? newest == step : newest > steps.newest_before(step);
}

bool evaluates(const TrainConfig& config) {
  return !evaluation_steps(config.evaluate).empty() ||
         std::ranges::any_of(config.averages, [&](const auto& average) { return !evaluation_steps(average, config.evaluate).empty(); });
}

}  // namespace lawa
