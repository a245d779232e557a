#include "ops/gemm.hpp"

#include "ops/gemm_backend.hpp"
#include "tensor/device.hpp"
#include "tensor/phases.hpp"

namespace lawa {
namespace {

template <class T>
constexpr Precision precision_of = std::is_same_v<T, bf16> ? Precision::bf16 : Precision::fp32;

}  // namespace

template <class In, class Out>
void gemm(const Exec& exec, float alpha, Block<In> a, Transpose transpose_a, Block<In> b, Transpose transpose_b, float beta, Block<Out> c) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const int64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const int64_t n = tb ? b.rows : b.columns;
  LAWA_CHECK((tb ? b.columns : b.rows) == k && c.rows == m && c.columns == n, "gemm: (", m, ", ", k, ") times (",
             tb ? b.columns : b.rows, ", ", n, ") into (", c.rows, ", ", c.columns, ")");
  if (m == 0 || n == 0) return;
  const Phase phase("gemm");
  const detail::Product product{precision_of<In>, precision_of<Out>, ta, tb, m, n, k, alpha, beta, a.stride, b.stride, c.stride};
  detail::gemm(stream_of(exec), product, a.data, b.data, c.data);
}

template void gemm(const Exec&, float, Block<float>, Transpose, Block<float>, Transpose, float, Block<float>);
template void gemm(const Exec&, float, Block<bf16>, Transpose, Block<bf16>, Transpose, float, Block<float>);
template void gemm(const Exec&, float, Block<bf16>, Transpose, Block<bf16>, Transpose, float, Block<bf16>);

bool multiplies_in(Precision precision) { return detail::multiplies_in(precision); }

}  // namespace lawa
