// [[averages]]: the averages that a run keeps of its own weights.
#pragma once
#include "average/scheme.hpp"
#include "core/config.hpp"
#include "params/parameter_table.hpp"

namespace lawa {

struct OnlineAverageConfig {
  std::string scheme = "lawa";
  int64_t window = 5, stride = 1, first = 0, last = 0;
  double beta = 0.999, half_life_steps = 0, half_life = 0;
  bool warmup = false, save = false;
  std::vector<double> blend{};
  std::vector<std::string> exclude{};
  int64_t evaluate_steps = 0;
  std::vector<int64_t> evaluate_at{};
};

template <class Visitor>
void visit(OnlineAverageConfig& c, Visitor&& v) {
  v("scheme", c.scheme, "lawa (the last k snapshots), ema, swa (all since first)", one_of({"lawa", "ema", "swa"}));
  v("window", c.window, "lawa: snapshots in the average, k", between(1, 100000));
  v("stride", c.stride, "a snapshot every so many steps, nu", at_least(1));
  v("first", c.first, "no snapshot before this step", at_least(0));
  v("last", c.last, "no snapshot after this step; 0 = no limit", at_least(0));
  v("beta", c.beta, "ema: what is kept of the average at each snapshot", between(0, 1));
  v("half_life_steps", c.half_life_steps, "ema, in beta's place: 2^(-stride / half_life_steps) is kept; 0 = beta", at_least(0));
  v("half_life", c.half_life, "ema, in beta's place: a part of the steps so far; at step t 2^(-stride / (half_life t)) is kept; 0 = beta",
    at_least(0));
  v("warmup", c.warmup, "ema: at the t-th snapshot (from 0) at most 1 - (1 + t)^(-2/3) is kept, as in the paper's code");
  v("save", c.save, "also keep it as a weights file at every checkpoint: averages/<name>/step_….weights.h5");
  v("blend", c.blend, "evaluate plain + lambda (average - plain) for each lambda; other than 1 only at a step that is a snapshot; [] = [1]",
    between(0, 2));
  v("exclude", c.exclude, "tensors that stay plain where it is evaluated, only at a step that is a snapshot: wte, h.0, h.0.attn.c_attn");
  v("evaluate_steps", c.evaluate_steps,
    "evaluate it every so many steps, and at the end; 0 = where the run evaluates, or only at evaluate_at", at_least(0));
  v("evaluate_at", c.evaluate_at, "evaluate it at these steps", at_least(1));
}

/// Errors: two averages that are the same one; keys that were given and mean nothing to their scheme, or don't fit together; an
/// excluded tensor that isn't in the table.
void check(const std::vector<OnlineAverageConfig>& averages, const ParameterTable& table, const ConfigSource& source);

/// The average that an entry asks for, without what only its evaluation does.
AverageSpec spec_of(const OnlineAverageConfig& config);
/// What an entry has evaluated: the average with its excluded tensors, once for each lambda.
std::vector<AverageSpec> models_of(const OnlineAverageConfig& config);

}  // namespace lawa
