// loss = sum over rows n of log sum_v exp(z[n][v]) - z[n][target[n]], and dz = scale (softmax(z) - onehot(target)).
#pragma once
#include <algorithm>
#include <cmath>

#include "reference/array.hpp"

namespace lawa::reference {

inline double row_log_sum(const Array& z, int64_t n) {
  double top = z(n, 0), sum = 0;
  for (int64_t v = 0; v < z.columns; ++v) top = std::max(top, z(n, v));
  for (int64_t v = 0; v < z.columns; ++v) sum += std::exp(z(n, v) - top);
  return top + std::log(sum);
}

inline double cross_entropy(const Array& z, const std::vector<int32_t>& targets) {
  double loss = 0;
  for (int64_t n = 0; n < z.rows; ++n) loss += row_log_sum(z, n) - z(n, targets[static_cast<size_t>(n)]);
  return loss;
}

inline Array cross_entropy_backward(const Array& z, const std::vector<int32_t>& targets, double scale) {
  Array d(z.rows, z.columns);
  for (int64_t n = 0; n < z.rows; ++n) {
    const double log_sum = row_log_sum(z, n);
    for (int64_t v = 0; v < z.columns; ++v)
      d(n, v) = scale * (std::exp(z(n, v) - log_sum) - (v == targets[static_cast<size_t>(n)] ? 1 : 0));
  }
  return d;
}

}  // namespace lawa::reference
