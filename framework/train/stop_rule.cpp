#include "train/stop_rule.hpp"

#include <limits>

namespace lawa {

bool patience_is_over(std::span<const double> losses, int64_t patience) {
  double lowest = std::numeric_limits<double>::infinity();
  int64_t since = 0;  // evaluations since the lowest
  for (const double loss : losses) {
    ++since;
    if (loss < lowest) lowest = loss, since = 0;
  }
  return patience > 0 && since >= patience;
}

}  // namespace lawa
