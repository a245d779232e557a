#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lawa {

void check(const ScheduleConfig& c, const ConfigSource& source) {
  const char* const prefix = "schedule.";
  const auto where = [&](const char* name) { return source.where(std::string(prefix) + name); };
  if (c.kind == "wsd")
    LAWA_CHECK(c.warmup_steps + c.decay_steps <= c.steps, "schedule.decay_steps", where("decay_steps"), ": warm-up (", c.warmup_steps,
               ") and decay (", c.decay_steps, ") are longer than the run (", c.steps, ")");
  else if (c.kind == "cosine" && c.decay_steps > 0)
    LAWA_CHECK(c.decay_steps > c.warmup_steps, "schedule.decay_steps", where("decay_steps"), ": ", c.decay_steps,
               " must lie after the warm-up's ", c.warmup_steps, " steps");
}

double learning_rate(const ScheduleConfig& c, int64_t step) {
  const auto it = static_cast<double>(step - 1), warmup = static_cast<double>(c.warmup_steps);
  const auto steps = static_cast<double>(c.steps), decay = static_cast<double>(c.decay_steps);
  if (it < warmup) return c.peak_lr * it / warmup;
  if (c.kind == "constant") return c.peak_lr;
  if (c.kind == "wsd") {
    const double left = steps - it;
    return left >= decay ? c.peak_lr : c.final_lr + (c.peak_lr - c.final_lr) * left / decay;
  }
  const double end = c.decay_steps > 0 ? decay : steps;
  if (it >= end) return c.final_lr;
  const double done = (it - warmup) / (end - warmup);
  return c.final_lr + 0.5 * (1 + std::cos(std::numbers::pi * done)) * (c.peak_lr - c.final_lr);
}

}  // namespace lawa
