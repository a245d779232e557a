// Matrix products: op(A) op(B), and the affine map y = x W^T + b.
#pragma once
#include "reference/array.hpp"

namespace lawa::reference {

/// op(A) op(B), where op transposes or not.
inline Array product(const Array& a, bool transpose_a, const Array& b, bool transpose_b) {
  const int64_t inner = transpose_a ? a.rows : a.columns;
  Array c(transpose_a ? a.columns : a.rows, transpose_b ? b.rows : b.columns);
  for (int64_t i = 0; i < c.rows; ++i)
    for (int64_t j = 0; j < c.columns; ++j)
      for (int64_t k = 0; k < inner; ++k) c(i, j) += (transpose_a ? a(k, i) : a(i, k)) * (transpose_b ? b(j, k) : b(k, j));
  return c;
}

/// y = x W^T + b; an empty b is no bias.
inline Array affine(const Array& x, const Array& weight, const Values& bias) {
  Array y = product(x, false, weight, true);
  for (int64_t n = 0; n < y.rows && !bias.empty(); ++n)
    for (int64_t o = 0; o < y.columns; ++o) y(n, o) += at(bias, o);
  return y;
}

struct AffineGradients {
  Array x, weight;
  Values bias;
};
inline AffineGradients affine_backward(const Array& x, const Array& weight, const Array& dy) {
  AffineGradients d{product(dy, false, weight, false), product(dy, true, x, false), Values(static_cast<size_t>(dy.columns))};
  for (int64_t n = 0; n < dy.rows; ++n)
    for (int64_t o = 0; o < dy.columns; ++o) at(d.bias, o) += dy(n, o);
  return d;
}

}  // namespace lawa::reference
