// Which checkpoints make up which average: pure arithmetic over steps.
#pragma once
#include <vector>

#include "core/config.hpp"

namespace lawa {

struct AveragingConfig {
  std::string scheme = "sliding";
  int64_t window = 5, stride = 0, first = 0, last = 0;
  bool fsync = true, skip_existing = false;
};

template <class Visitor>
void visit(AveragingConfig& c, Visitor&& v) {
  v("scheme", c.scheme, "sliding (LAWA: a window ends at every snapshot) or tumbling (disjoint windows); lawa means sliding",
    one_of({"sliding", "lawa", "tumbling"}));
  v("window", c.window, "checkpoints in an average, k", at_least(1));
  v("stride", c.stride, "steps between the checkpoints of a window, nu; 0 = every checkpoint there is", at_least(0));
  v("first", c.first, "no checkpoint before this step", at_least(0));
  v("last", c.last, "no checkpoint after this step; 0 = no limit", at_least(0));
  v("fsync", c.fsync, "make each file durable before it gets its name");
  v("skip_existing", c.skip_existing, "leave averages that are there already, if they are the same ones");
}

/// One average: the uniform mean of its members, labelled with its newest member's step.
struct Average {
  int64_t step = 0;
  std::vector<int64_t> members;  ///< steps, ascending
};

/// The averages of a scheme over checkpoints at `steps` (ascending). Snapshots are the steps > 0 with step % stride == 0.
/// sliding: the last `window` snapshots at every snapshot, once there are so many (Kaddour 2022). tumbling: snapshots 1..k,
/// k+1..2k, …; an incomplete last window is dropped. Errors: a snapshot that is missing between two others; no full window.
std::vector<Average> averaging_plan(const AveragingConfig& config, const std::vector<int64_t>& steps);

}  // namespace lawa
