#include "ops/column_sums.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"

namespace lawa {

void affine(const Exec& exec, const Matrix<float>& x, const Affine& p, const Matrix<float>& y) {
  gemm(exec, 1, block(x), Transpose::no, block(p.weight), Transpose::yes, 0, block(y), p.precision);
  if (rows(p.bias) == 0) return;
  const Vector<float> bias = p.bias;
  Kokkos::parallel_for("lawa::bias", over(exec, rows(y)), KOKKOS_LAMBDA(int64_t n) {
    const int64_t width = columns(y);
    float* const yn = &y(n, 0);
    const float* const b = bias.data();
#pragma omp simd
    for (int64_t o = 0; o < width; ++o) yn[o] += b[o];
  });
}

void affine_backward(const Exec& exec, const Matrix<float>& x, const Affine& p, const Matrix<float>& dy, const Matrix<float>& dx,
                     const Affine& dp) {
  gemm(exec, 1, block(dy), Transpose::yes, block(x), Transpose::no, 1, block(dp.weight), p.precision);
  gemm(exec, 1, block(dy), Transpose::no, block(p.weight), Transpose::no, 0, block(dx), p.precision);
  if (rows(dp.bias) == 0) return;
  const float* const from = dy.data();
  const int64_t width = columns(dy);
  add_column_sums(exec, rows(dy), dp.bias, KOKKOS_LAMBDA(int64_t n, int64_t c) { return from[n * width + c]; });
}

}  // namespace lawa
