#include "ops/column_sums.hpp"
#include "ops/ops.hpp"
#include "tensor/math.hpp"

namespace lawa {
namespace {
constexpr float epsilon = 1e-5f;
}

void norm(const Exec& exec, const Matrix<float>& x, const Norm& p, const NormStatistics& statistics, const Matrix<float>& y) {
  const Vector<float> weight = p.weight, bias = p.bias, means = statistics.mean, inverses = statistics.inverse_deviation;
  const bool has_bias = rows(bias) > 0;
  Kokkos::parallel_for("lawa::norm", over(exec, rows(x)), KOKKOS_LAMBDA(int64_t n) {
    const int64_t C = columns(x);
    const float* const xn = &x(n, 0);
    const float* const w = weight.data();
    const float* const b = bias.data();
    float* const yn = &y(n, 0);
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < C; ++c) sum += xn[c];
    const float mean = sum / static_cast<float>(C);
#pragma omp simd reduction(+ : squares)
    for (int64_t c = 0; c < C; ++c) squares += (xn[c] - mean) * (xn[c] - mean);
    const float inverse = 1 / square_root(squares / static_cast<float>(C) + epsilon);
    means(n) = mean;
    inverses(n) = inverse;
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) yn[c] = w[c] * ((xn[c] - mean) * inverse);
    if (has_bias)
#pragma omp simd
      for (int64_t c = 0; c < C; ++c) yn[c] += b[c];
  });
}

// With h = (x - mean) * inverse, d = weight * dy and <.> the mean over channels: dx = inverse * (d - <d> - h <d h>).
void norm_backward(const Exec& exec, const Matrix<float>& x, const Norm& p, const NormStatistics& statistics,
                   const Matrix<float>& dy, const Matrix<float>& dx, const Norm& dp) {
  const Vector<float> weight = p.weight, means = statistics.mean, inverses = statistics.inverse_deviation;
  const int64_t C = columns(x);
  const float* const xs = x.data();
  const float* const dys = dy.data();
  const float* const mean_of = means.data();
  const float* const inverse_of = inverses.data();
  add_column_sums(exec, rows(x), dp.weight, KOKKOS_LAMBDA(int64_t n, int64_t c) {
    return dys[n * C + c] * ((xs[n * C + c] - mean_of[n]) * inverse_of[n]);
  });
  if (rows(dp.bias) > 0) add_column_sums(exec, rows(x), dp.bias, KOKKOS_LAMBDA(int64_t n, int64_t c) { return dys[n * C + c]; });
  Kokkos::parallel_for("lawa::norm_backward", over(exec, rows(x)), KOKKOS_LAMBDA(int64_t n) {
    const float* const xn = xs + n * C;
    const float* const dyn = dys + n * C;
    const float* const w = weight.data();
    float* const dxn = &dx(n, 0);
    const float mean = mean_of[n], inverse = inverse_of[n];
    float d_sum = 0, dh_sum = 0;
#pragma omp simd reduction(+ : d_sum, dh_sum)
    for (int64_t c = 0; c < C; ++c) {
      const float d = w[c] * dyn[c];
      d_sum += d;
      dh_sum += d * ((xn[c] - mean) * inverse);
    }
    const float d_mean = d_sum / static_cast<float>(C), dh_mean = dh_sum / static_cast<float>(C);
#pragma omp simd
    for (int64_t c = 0; c < C; ++c) dxn[c] = inverse * (w[c] * dyn[c] - d_mean - (xn[c] - mean) * inverse * dh_mean);
  });
}

}  // namespace lawa
