#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

/// y[i] = f(a[i], b[i])
template <class S, class F>
void map(const char* name, const Exec& exec, const Matrix<S>& a, const Matrix<S>& b, const Matrix<S>& y, const F& f) {
  const int64_t width = columns(y);
  const S* const as = a.data();
  const S* const bs = b.data();
  S* const ys = y.data();
  for_rows(name, exec, rows(y), width, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const S* const an = as + n * width;
    const S* const bn = bs + n * width;
    row.assign(width, ys + n * width, [&](int64_t c) { return f(an[c], bn[c]); });
  });
}

/// x[n][c] += bias[c] where there is a bias; y = f(x).
template <class S, class F>
void biased_map(const char* name, const Exec& exec, const Vector<S>& bias, const Matrix<S>& x, const Matrix<S>& y, const F& f) {
  if (rows(bias) == 0) return map(name, exec, x, x, y, KOKKOS_LAMBDA(float a, float) { return f(a); });
  const int64_t width = columns(y);
  const S* const b = bias.data();
  for_rows(name, exec, rows(y), width, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    S* const xn = &x(n, 0);
    S* const yn = &y(n, 0);
    row.each(width, [&](int64_t c) {
      xn[c] = xn[c] + b[c];
      yn[c] = f(xn[c]);
    });
  });
}

constexpr float slope = 0.797884560802865356f, cubic = 0.044715f;  // sqrt(2/pi), and the constant of GPT-2's tanh form
constexpr float inverse_sqrt_2 = 0.707106781186547524f, inverse_sqrt_2pi = 0.398942280401432678f;

}  // namespace

// tanh form: x/2 (1 + tanh u) = x sigmoid(2u) with u = slope (x + cubic x^3)
template <class S>
void gelu(const Exec& exec, Gelu form, const Vector<S>& bias, const Matrix<S>& x, const Matrix<S>& y) {
  if (form == Gelu::tanh)
    biased_map("lawa::gelu_tanh", exec, bias, x, y, KOKKOS_LAMBDA(float a) { return a * sigmoid(2 * slope * (a + cubic * a * a * a)); });
  else
    biased_map("lawa::gelu_erf", exec, bias, x, y, KOKKOS_LAMBDA(float a) { return 0.5f * a * (1 + error_function(a * inverse_sqrt_2)); });
}

// tanh form: s + x s (1 - s) 2u' with s = sigmoid(2u); erf form: Phi(x) + x phi(x)
template <class S>
void gelu_backward(const Exec& exec, Gelu form, const Matrix<S>& x, const Matrix<S>& dy, const Matrix<S>& dx) {
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

template void gelu(const Exec&, Gelu, const Vector<float>&, const Matrix<float>&, const Matrix<float>&);
template void gelu(const Exec&, Gelu, const Vector<bf16>&, const Matrix<bf16>&, const Matrix<bf16>&);
template void gelu_backward(const Exec&, Gelu, const Matrix<float>&, const Matrix<float>&, const Matrix<float>&);
template void gelu_backward(const Exec&, Gelu, const Matrix<bf16>&, const Matrix<bf16>&, const Matrix<bf16>&);

}  // namespace lawa
