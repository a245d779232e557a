// Learning rates over the steps of a run.
#pragma once
#include "core/config.hpp"

namespace lawa {

struct ScheduleConfig {
  std::string kind = "cosine";
  int64_t steps = 70000, warmup_steps = 2000, decay_steps = 0;
  double peak_lr = 6e-3, final_lr = 6e-4;
};

template <class Visitor>
void visit(ScheduleConfig& c, Visitor&& v) {
  v("kind", c.kind, "cosine, constant, or wsd (warm-up, stable, decay)", one_of({"cosine", "constant", "wsd"}));
  v("steps", c.steps, "optimizer steps of the run", at_least(1));
  v("warmup_steps", c.warmup_steps, "steps of linear warm-up from 0; 0 is legal", at_least(0));
  v("decay_steps", c.decay_steps, "cosine: the step at which final_lr is reached (0: steps); wsd: the last steps, that decay linearly",
    at_least(0));
  v("peak_lr", c.peak_lr, "learning rate after the warm-up", at_least(0));
  v("final_lr", c.final_lr, "learning rate at the end of the decay", at_least(0));
}
/// Errors: a schedule whose parts don't fit into its steps.
void check(const ScheduleConfig& config, const ConfigSource& source);

/// The learning rate of the update that makes step `step` (1, 2, …), as the released scripts count: with it = step - 1,
/// peak * it / warmup during the warm-up (the first is zero), then by `kind`. So the last update is one step short of final_lr.
double learning_rate(const ScheduleConfig& config, int64_t step);

}  // namespace lawa
