#include "ops/ops.hpp"
#include "tensor/math.hpp"

namespace lawa {
namespace {

/// Both functions: the loss, and with `backward` also the gradient over z.
template <bool backward>
double cross_entropy_rows(const Exec& exec, const Matrix<float>& z, const Tokens& targets, float scale) {
  double loss = 0;
  Kokkos::parallel_reduce("lawa::cross_entropy", over(exec, rows(z)), KOKKOS_LAMBDA(int64_t n, double& total) {
    const int64_t V = columns(z);
    float* const zn = &z(n, 0);
    float top = zn[0];
#pragma omp simd reduction(max : top)
    for (int64_t v = 0; v < V; ++v) top = larger(top, zn[v]);
    const float target = zn[targets(n)], step = scale;
    float sum = 0;
    if constexpr (backward) {
#pragma omp simd reduction(+ : sum)
      for (int64_t v = 0; v < V; ++v) sum += zn[v] = exponential(zn[v] - top);
      const float factor = step / sum;
#pragma omp simd
      for (int64_t v = 0; v < V; ++v) zn[v] *= factor;
      zn[targets(n)] -= step;
    } else {
#pragma omp simd reduction(+ : sum)
      for (int64_t v = 0; v < V; ++v) sum += exponential(zn[v] - top);
    }
    total += logarithm(static_cast<double>(sum)) + static_cast<double>(top) - static_cast<double>(target);
  }, loss);
  return loss;
}

}  // namespace

double cross_entropy(const Exec& exec, const Matrix<float>& z, const Tokens& targets) {
  return cross_entropy_rows<false>(exec, z, targets, 0);
}

double cross_entropy_backward(const Exec& exec, const Matrix<float>& z, const Tokens& targets, double scale) {
  return cross_entropy_rows<true>(exec, z, targets, static_cast<float>(scale));
}

}  // namespace lawa
