#include "ops/ops.hpp"
#include "tensor/math.hpp"

namespace lawa {
namespace {

/// y[i] = f(a[i], b[i]), a row at a time so that the inner loop becomes vector instructions.
template <class F>
void map(const char* name, const Exec& exec, const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y, const F& f) {
  const int64_t width = columns(y);
  const float* const as = a.data();
  const float* const bs = b.data();
  float* const ys = y.data();
  Kokkos::parallel_for(name, over(exec, rows(y)), KOKKOS_LAMBDA(int64_t n) {
    const float* const an = as + n * width;
    const float* const bn = bs + n * width;
    float* const yn = ys + n * width;
#pragma omp simd
    for (int64_t c = 0; c < width; ++c) yn[c] = f(an[c], bn[c]);
  });
}

constexpr float slope = 0.797884560802865356f, cubic = 0.044715f;  // sqrt(2/pi), and the constant of GPT-2's tanh form
constexpr float inverse_sqrt_2 = 0.707106781186547524f, inverse_sqrt_2pi = 0.398942280401432678f;

}  // namespace

// tanh form: x/2 (1 + tanh u) = x sigmoid(2u) with u = slope (x + cubic x^3)
void gelu(const Exec& exec, Gelu form, const Matrix<float>& x, const Matrix<float>& y) {
  if (form == Gelu::tanh)
    map("lawa::gelu_tanh", exec, x, x, y, KOKKOS_LAMBDA(float a, float) { return a * sigmoid(2 * slope * (a + cubic * a * a * a)); });
  else
    map("lawa::gelu_erf", exec, x, x, y, KOKKOS_LAMBDA(float a, float) { return 0.5f * a * (1 + error_function(a * inverse_sqrt_2)); });
}

// tanh form: s + x s (1 - s) 2u' with s = sigmoid(2u); erf form: Phi(x) + x phi(x)
void gelu_backward(const Exec& exec, Gelu form, const Matrix<float>& x, const Matrix<float>& dy, const Matrix<float>& dx) {
  if (form == Gelu::tanh)
    map("lawa::gelu_tanh_backward", exec, x, dy, dx, KOKKOS_LAMBDA(float a, float d) {
      const float e = exponential(-2 * slope * (a + cubic * a * a * a)), s = 1 / (1 + e);
      return d * (s + a * (e * s) * s * 2 * slope * (1 + 3 * cubic * a * a));  // e s is 1 - s without its cancellation
    });
  else
    map("lawa::gelu_erf_backward", exec, x, dy, dx, KOKKOS_LAMBDA(float a, float d) {
      return d * (0.5f * (1 + error_function(a * inverse_sqrt_2)) + a * inverse_sqrt_2pi * exponential(-0.5f * a * a));
    });
}

void add(const Exec& exec, const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y) {
  map("lawa::add", exec, a, b, y, KOKKOS_LAMBDA(float left, float right) { return left + right; });
}

}  // namespace lawa
