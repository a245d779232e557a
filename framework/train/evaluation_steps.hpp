// When a run evaluates its weights, and each of its averages.
#pragma once
#include "train/train_config.hpp"

namespace lawa {

struct EvaluationSteps {
  int64_t every = 0;          ///< so many steps, and at the run's last one; 0: not regularly
  std::vector<int64_t> at{};  ///< these steps as well

  bool empty() const { return every == 0 && at.empty(); }
  bool contains(int64_t step, int64_t last) const;
  /// The newest one before a step of the run; 0 where there is none.
  int64_t newest_before(int64_t step) const;
};

/// Of the plain weights. Besides, they are evaluated wherever an average is, so that its line has one to be compared with.
EvaluationSteps evaluation_steps(const EvaluateConfig& run);
/// Of an average: its own steps where it names any, else the run's.
EvaluationSteps evaluation_steps(const OnlineAverageConfig& average, const EvaluateConfig& run);

/// Whether an average whose newest snapshot is of step `newest` (0: there is no average) is due at a step of a run whose last is `last`:
/// one that is new since it was due before, and one with the present weights in it where it is of this step or of none.
bool is_due(const AverageSpec& average, const EvaluationSteps& steps, int64_t newest, int64_t step, int64_t last);

/// Whether anything is evaluated at all.
bool evaluates(const TrainConfig& config);

}  // namespace lawa
