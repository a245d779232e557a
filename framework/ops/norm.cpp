#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

constexpr auto epsilon = static_cast<float>(norm_epsilon);

/// y = weight * (x - mean)/sqrt(variance + epsilon) + bias, of one row of C numbers; bias may be null.
template <class S>
KOKKOS_INLINE_FUNCTION void norm_row(const Row& row, int64_t C, const float* x, const S* weight, const S* bias, float& mean_of,
                                     float& inverse_of, S* y) {
  const float mean = row.sum(C, [&](int64_t c) { return x[c]; }) / static_cast<float>(C);
  const float squares = row.sum(C, [&](int64_t c) { return (x[c] - mean) * (x[c] - mean); });
  const float inverse = 1 / square_root(squares / static_cast<float>(C) + epsilon);
  row.once([&] {
    mean_of = mean;
    inverse_of = inverse;
  });
  if (bias == nullptr) row.assign(C, y, [&](int64_t c) { return weight[c] * ((x[c] - mean) * inverse); });
  else row.assign(C, y, [&](int64_t c) { return weight[c] * ((x[c] - mean) * inverse) + bias[c]; });
}

}  // namespace

template <class S>
void norm(const Exec& exec, const Matrix<float>& x, const Norm<S>& p, const NormStatistics& statistics, const Matrix<S>& y) {
  const Vector<S> weight = p.weight, bias = p.bias;
  const Vector<float> means = statistics.mean, inverses = statistics.inverse_deviation;
  const S* const b = rows(bias) > 0 ? bias.data() : nullptr;
  for_rows("lawa::norm", exec, rows(x), columns(x), KOKKOS_LAMBDA(const Row& row, int64_t n) {
    norm_row(row, columns(x), &x(n, 0), weight.data(), b, means(n), inverses(n), &y(n, 0));
  });
}

// With h = (x - mean) * inverse, d = weight * dy and <.> the mean over channels: dx += inverse * (d - <d> - h <d h>).
template <class S>
void norm_backward(const Exec& exec, const Matrix<float>& x, const Norm<S>& p, const NormStatistics& statistics, const Matrix<S>& dy,
                   const Matrix<float>& dx, const Matrix<S>& dr, const Norm<float>& dp) {
  const Vector<S> weight = p.weight;
  const int64_t C = columns(x);
  const float* const xs = x.data();
  const S* const dys = dy.data();
  const float* const mean_of = statistics.mean.data();
  const float* const inverse_of = statistics.inverse_deviation.data();
  S* const rounded = static_cast<const void*>(dr.data()) == dx.data() ? nullptr : dr.data();
  add_column_sums(exec, rows(x), dp.weight, KOKKOS_LAMBDA(int64_t n, int64_t c) {
    return dys[n * C + c] * ((xs[n * C + c] - mean_of[n]) * inverse_of[n]);
  });
  if (rows(dp.bias) > 0)
    add_column_sums(exec, rows(x), dp.bias, KOKKOS_LAMBDA(int64_t n, int64_t c) -> float { return dys[n * C + c]; });
  for_rows("lawa::norm_backward", exec, rows(x), C, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const float* const xn = xs + n * C;
    const S* const dyn = dys + n * C;
    const S* const w = weight.data();
    float* const dxn = &dx(n, 0);
    const float mean = mean_of[n], inverse = inverse_of[n];
    const Two sums = row.sums(C, [&](int64_t c) -> Two {
      const float d = w[c] * dyn[c];
      return {d, d * ((xn[c] - mean) * inverse)};
    });
    const float d_mean = sums.first / static_cast<float>(C), dh_mean = sums.second / static_cast<float>(C);
    const auto sum = [&](int64_t c) { return dxn[c] + inverse * (w[c] * dyn[c] - d_mean - (xn[c] - mean) * inverse * dh_mean); };
    row.assign(C, dxn, sum);
    if (rounded != nullptr) row.assign(C, rounded + n * C, [&](int64_t c) { return dxn[c]; });
  });
}

#define LAWA_INSTANTIATE(S)                                                                                                          \
  template void norm(const Exec&, const Matrix<float>&, const Norm<S>&, const NormStatistics&, const Matrix<S>&);                    \
  template void norm_backward(const Exec&, const Matrix<float>&, const Norm<S>&, const NormStatistics&, const Matrix<S>&,            \
                              const Matrix<float>&, const Matrix<S>&, const Norm<float>&);
LAWA_INSTANTIATE(float)
LAWA_INSTANTIATE(bf16)

}  // namespace lawa
