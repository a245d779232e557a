#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

/// -log softmax(z)[target] from z[target].
KOKKOS_INLINE_FUNCTION double negative_log(float target, const SoftmaxSum& row) {
  return logarithm(static_cast<double>(row.sum)) + static_cast<double>(row.top) - static_cast<double>(target);
}

}  // namespace

void cross_entropy(const Exec& exec, const Matrix<float>& z, const Tokens& targets, const Vector<double>& losses) {
  const int64_t V = columns(z);
  for_rows("lawa::cross_entropy", exec, rows(z), V, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const float* const zn = &z(n, 0);
    const SoftmaxSum softmax = row.softmax_sum(V, [&](int64_t v) { return zn[v]; });
    row.once([&] { losses(n) = negative_log(zn[targets(n)], softmax); });
  });
}

// z is read before dz, which may be the same memory, is written: the softmax's sum needs all of the row.
template <class S>
void cross_entropy_backward(const Exec& exec, const Matrix<float>& z, const Tokens& targets, double scale, const Vector<double>& losses,
                            const Matrix<S>& dz) {
  const int64_t V = columns(z);
  const auto step = static_cast<float>(scale);
  for_rows("lawa::cross_entropy_backward", exec, rows(z), V, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const float* const zn = &z(n, 0);
    const int64_t target = targets(n);
    const float at_target = zn[target];
    const SoftmaxSum softmax = row.softmax_sum(V, [&](int64_t v) { return zn[v]; });
    const float factor = step / softmax.sum;
    S* const dzn = &dz(n, 0);
    row.assign(V, dzn, [&](int64_t v) { return exponential(zn[v] - softmax.top) * factor; });
    row.barrier();
    row.once([&] {
      dzn[target] = exponential(at_target - softmax.top) * factor - step;
      losses(n) = negative_log(at_target, softmax);
    });
  });
}

template void cross_entropy_backward(const Exec&, const Matrix<float>&, const Tokens&, double, const Vector<double>&, const Matrix<float>&);
template void cross_entropy_backward(const Exec&, const Matrix<float>&, const Tokens&, double, const Vector<double>&, const Matrix<bf16>&);

}  // namespace lawa
