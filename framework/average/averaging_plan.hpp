// Which checkpoints make up which average, and with which weights: pure arithmetic over steps.
#pragma once
#include <vector>

#include "average/scheme.hpp"
#include "core/config.hpp"

namespace lawa {

struct AveragingConfig {
  std::string scheme = "lawa";
  std::vector<int64_t> window{5}, stride{0}, at{};
  int64_t first = 0, last = 0;
  double beta = 0.9;
  std::vector<double> curve{}, weights{};
};

template <class Visitor>
void visit(AveragingConfig& c, Visitor&& v) {
  v("scheme", c.scheme,
    "lawa (the last k; sliding is the same), tumbling, lawa_released (tumbling, and a last window of two or more), swa (all since "
    "first), ema, linear (weights 1..k), 1-sqrt, curve, weights",
    one_of({"lawa", "sliding", "tumbling", "lawa_released", "swa", "ema", "linear", "1-sqrt", "curve", "weights"}));
  v("window", c.window, "checkpoints in an average, k; several make a grid", at_least(1));
  v("stride", c.stride, "steps between the checkpoints of an average, nu; 0 = every checkpoint there is; several make a grid", at_least(0));
  v("at", c.at, "only the averages of these steps; empty = all", at_least(1));
  v("first", c.first, "no checkpoint before this step", at_least(0));
  v("last", c.last, "no checkpoint after this step; 0 = no limit", at_least(0));
  v("beta", c.beta, "ema: what is kept of the average at each checkpoint", between(0, 1));
  v("curve", c.curve, "curve: learning rates that the window emulates, oldest checkpoint first, as parts of the peak", at_least(0));
  v("weights", c.weights, "weights: of a window's checkpoints, oldest first; divided by their sum", at_least(0));
}
/// Errors: keys that don't fit together.
void check(const AveragingConfig& config, const ConfigSource& source);

struct Member {
  int64_t step;
  double weight;
  bool operator==(const Member&) const = default;
};
/// One average: sum of weight * checkpoint over the sum of the weights; labelled with its newest member's step.
struct Average {
  AverageSpec spec;
  std::vector<Member> members;  ///< by ascending step

  int64_t step() const { return members.back().step; }
  /// All weights are equal: a mean that can be rounded correctly.
  bool uniform() const;
};

/// The averages of a scheme over checkpoints at `steps` (ascending), window by window within stride by stride. Snapshots are the
/// steps > 0 with step % stride == 0, between first and last.
///   lawa           the last k snapshots at every snapshot, once there are so many (Kaddour 2022, arXiv 2209.14981)
///   tumbling       snapshots 1..k, k+1..2k, …; an incomplete last window is dropped
///   lawa_released  the same, but an incomplete last window is averaged unless it is a single snapshot (the paper's lawa.py)
///   swa            all snapshots up to each one, from the second on (Izmailov et al. 2018, arXiv 1803.05407)
///   ema            e = beta e + (1 - beta) x at every snapshot, from the first snapshot's weights on
///   linear         lawa with weights 1, 2, …, k
///   1-sqrt, curve  lawa with the weights that emulate a decay of the learning rate over the window (WSM, arXiv 2507.17634): where
///                  the i-th checkpoint's updates shall count c_i of their size (c_1 = 1 the oldest), its weight is c_i - c_(i+1)
///   weights        lawa with given weights
/// A place in a grid that has too few snapshots is left out. Errors: a snapshot that is missing between two others; no average at
/// all; a step of `at` that has none.
/// Where several runs have checkpoints of one step, `sharing` is how many at most, and checkpoint i of step s is s sharing + i in `steps` and
/// in the members. Windows count checkpoints, and end behind all those of a step. Errors: a window would hold a part of a step's.
std::vector<Average> averaging_plan(const AveragingConfig& config, const std::vector<int64_t>& steps, int64_t sharing = 1);

}  // namespace lawa
