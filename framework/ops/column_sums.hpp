// Sums over the rows of a matrix, in the order of the rows: how parameter gradients of biases and norms are made.
#pragma once
#include "tensor/tensor.hpp"

namespace lawa {

/// sums[c] += value(0, c) + value(1, c) + … over n_rows rows. Each work item owns a few columns, so that no two write to one
/// place and the order of the sum is fixed; `value` is a device function (row, column) -> float.
template <class Value>
void add_column_sums(const Exec& exec, int64_t n_rows, const Vector<float>& sums, const Value& value) {
  constexpr int64_t width = 64;
  const int64_t n_columns = rows(sums);
  float* const out = sums.data();
  Kokkos::parallel_for("lawa::add_column_sums", over(exec, (n_columns + width - 1) / width), KOKKOS_LAMBDA(int64_t chunk) {
    const int64_t begin = chunk * width;
    const int64_t count = n_columns - begin < width ? n_columns - begin : width;
    float partial[width] = {};
    for (int64_t n = 0; n < n_rows; ++n)
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) partial[i] += value(n, begin + i);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[begin + i] += partial[i];
  });
}

}  // namespace lawa
