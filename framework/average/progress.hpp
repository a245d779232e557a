// Which snapshots an average inside a run has taken, without their values.
#pragma once
#include <vector>

#include "average/scheme.hpp"

namespace lawa {

struct AverageProgress {
  AverageSpec spec;
  int64_t count = 0, oldest = 0, newest = 0;  ///< snapshots that were taken, the first and the last one's step
  std::vector<int64_t> members{};             ///< lawa: steps of the newest k

  /// Takes the step where it is a snapshot; says whether it is. Steps come in their order.
  bool take(int64_t step) {
    if (!is_snapshot(spec, step)) return false;
    if (spec.window > 0) {
      members.push_back(step);
      if (std::ssize(members) > spec.window) members.erase(members.begin());
    }
    if (count++ == 0) oldest = step;
    newest = step;
    return true;
  }
  /// The newest snapshot's step, the average's label; 0 while there is no average: k snapshots for lawa, two for the others.
  int64_t step() const { return count >= (spec.window > 0 ? spec.window : 2) ? newest : 0; }
  /// How many snapshots are in it.
  int64_t snapshots() const { return spec.window > 0 ? spec.window : count; }
  void begin_anew() { *this = {.spec = spec}; }
};

}  // namespace lawa
