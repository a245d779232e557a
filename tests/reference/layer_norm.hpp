// y = weight * h + bias with h = (x - mean) / sqrt(variance + 1e-5), row by row
#pragma once
#include <cmath>

#include "reference/array.hpp"

namespace lawa::reference {

/// mean and 1/sqrt(variance + 1e-5) of a row.
struct RowStatistics {
  double mean = 0, inverse = 0;
};
inline RowStatistics row_statistics(const Array& x, int64_t n) {
  const auto C = static_cast<double>(x.columns);
  double mean = 0, variance = 0;
  for (int64_t c = 0; c < x.columns; ++c) mean += x(n, c) / C;
  for (int64_t c = 0; c < x.columns; ++c) variance += (x(n, c) - mean) * (x(n, c) - mean) / C;
  return {mean, 1 / std::sqrt(variance + 1e-5)};
}

/// An empty bias is no bias.
inline Array layer_norm(const Array& x, const Values& weight, const Values& bias) {
  Array y(x.rows, x.columns);
  for (int64_t n = 0; n < x.rows; ++n) {
    const auto [mean, inverse] = row_statistics(x, n);
    for (int64_t c = 0; c < x.columns; ++c)
      y(n, c) = at(weight, c) * (x(n, c) - mean) * inverse + (bias.empty() ? 0 : at(bias, c));
  }
  return y;
}

struct LayerNormGradients {
  Array x;
  Values weight, bias;
};
/// dx[c] = sum over e of d[e] dh[e]/dx[c], with d = weight * dy and dh[e]/dx[c] = inverse ([c = e] - 1/C - h[c] h[e]/C)
inline LayerNormGradients layer_norm_backward(const Array& x, const Values& weight, const Array& dy) {
  const auto C = static_cast<double>(x.columns);
  LayerNormGradients d{Array(x.rows, x.columns), Values(weight.size()), Values(weight.size())};
  for (int64_t n = 0; n < x.rows; ++n) {
    const auto [mean, inverse] = row_statistics(x, n);
    const auto h = [&, mean = mean, inverse = inverse](int64_t c) { return (x(n, c) - mean) * inverse; };
    for (int64_t e = 0; e < x.columns; ++e) {
      at(d.weight, e) += dy(n, e) * h(e);
      at(d.bias, e) += dy(n, e);
      for (int64_t c = 0; c < x.columns; ++c)
        d.x(n, c) += at(weight, e) * dy(n, e) * inverse * ((c == e ? 1.0 : 0.0) - 1 / C - h(c) * h(e) / C);
    }
  }
  return d;
}

}  // namespace lawa::reference
