#include "ops/ops.hpp"
#include "tensor/math.hpp"

namespace lawa {
namespace {

/// The largest number of a row.
KOKKOS_INLINE_FUNCTION float largest(const float* z, int64_t n) {
  float top = z[0];
#pragma omp simd reduction(max : top)
  for (int64_t v = 0; v < n; ++v) top = larger(top, z[v]);
  return top;
}

/// -log softmax(z)[target] from z[target], the largest z and the sum of exp(z - largest).
KOKKOS_INLINE_FUNCTION double negative_log(float target, float top, float sum) {
  return logarithm(static_cast<double>(sum)) + static_cast<double>(top) - static_cast<double>(target);
}

}  // namespace

double cross_entropy(const Exec& exec, const Matrix<float>& z, const Tokens& targets) {
  double loss = 0;
  Kokkos::parallel_reduce("lawa::cross_entropy", over(exec, rows(z)), KOKKOS_LAMBDA(int64_t n, double& total) {
    const int64_t V = columns(z);
    const float* const zn = &z(n, 0);
    const float top = largest(zn, V);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < V; ++v) sum += exponential(zn[v] - top);
    total += negative_log(zn[targets(n)], top, sum);
  }, loss);
  return loss;
}

template <class S>
double cross_entropy_backward(const Exec& exec, const Matrix<float>& z, const Tokens& targets, double scale, const Matrix<S>& dz) {
  const auto step = static_cast<float>(scale);
  double loss = 0;
  Kokkos::parallel_reduce("lawa::cross_entropy_backward", over(exec, rows(z)), KOKKOS_LAMBDA(int64_t n, double& total) {
    const int64_t V = columns(z);
    float* const zn = &z(n, 0);
    S* const dzn = &dz(n, 0);
    const float top = largest(zn, V), target = zn[targets(n)];
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t v = 0; v < V; ++v) sum += zn[v] = exponential(zn[v] - top);
    const float factor = step / sum, at_target = zn[targets(n)] * factor - step;
#pragma omp simd
    for (int64_t v = 0; v < V; ++v) dzn[v] = zn[v] * factor;
    dzn[targets(n)] = at_target;
    total += negative_log(target, top, sum);
  }, loss);
  return loss;
}

template double cross_entropy_backward(const Exec&, const Matrix<float>&, const Tokens&, double, const Matrix<float>&);
template double cross_entropy_backward(const Exec&, const Matrix<float>&, const Tokens&, double, const Matrix<bf16>&);

}  // namespace lawa
