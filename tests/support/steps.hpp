// Steps at which checkpoints were kept.
#pragma once
#include <cstdint>
#include <numeric>
#include <vector>

namespace lawa::test {

using Steps = std::vector<int64_t>;

/// 1, 2, …, n.
inline Steps first_steps(int64_t n) {
  Steps steps(static_cast<size_t>(n));
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

}  // namespace lawa::test
