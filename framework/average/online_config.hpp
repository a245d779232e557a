// [[averages]]: the averages that a run keeps of its own weights.
#pragma once
#include "average/scheme.hpp"
#include "core/config.hpp"

namespace lawa {

struct OnlineAverageConfig {
  std::string scheme = "lawa";
  int64_t window = 5, stride = 1, first = 0, last = 0;
  double beta = 0.999;
  bool warmup = false, save = false;
};

template <class Visitor>
void visit(OnlineAverageConfig& c, Visitor&& v) {
  v("scheme", c.scheme, "lawa (the last k snapshots), ema, swa (all since first)", one_of({"lawa", "ema", "swa"}));
  v("window", c.window, "lawa: snapshots in the average, k", between(1, 100000));
  v("stride", c.stride, "a snapshot every so many steps, nu", at_least(1));
  v("first", c.first, "no snapshot before this step", at_least(0));
  v("last", c.last, "no snapshot after this step; 0 = no limit", at_least(0));
  v("beta", c.beta, "ema: what is kept of the average at each snapshot", between(0, 1));
  v("warmup", c.warmup, "ema: at the t-th snapshot (from 0) at most 1 - (1 + t)^(-2/3) is kept, as in the paper's code");
  v("save", c.save, "also keep it as a weights file at every checkpoint: averages/<name>/step_….weights.h5");
}

/// Errors: two averages that are the same one; keys that were given and mean nothing to their scheme.
void check(const std::vector<OnlineAverageConfig>& averages, const ConfigSource& source);

/// The average that an entry asks for.
AverageSpec spec_of(const OnlineAverageConfig& config);

}  // namespace lawa
