#include "ops/gemm.hpp"

#include "tensor/device.hpp"
#include "tensor/phases.hpp"

namespace lawa {
namespace {

template <class T>
constexpr Precision precision_of = std::is_same_v<T, bf16> ? Precision::bf16 : Precision::fp32;

/// Errors: shapes that don't fit.
template <class In, class Out>
detail::Product product_of(float alpha, const Block<In>& a, Transpose transpose_a, const Block<In>& b, Transpose transpose_b, float beta,
                           const Block<Out>& c) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const int64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const int64_t n = tb ? b.rows : b.columns;
  LAWA_CHECK((tb ? b.columns : b.rows) == k && c.rows == m && c.columns == n, "gemm: (", m, ", ", k, ") times (",
             tb ? b.columns : b.rows, ", ", n, ") into (", c.rows, ", ", c.columns, ")");
  return {precision_of<In>, precision_of<Out>, ta, tb, m, n, k, alpha, beta, a.stride, b.stride, c.stride};
}

}  // namespace

template <class In, class Out>
void gemm(const Exec& exec, float alpha, Block<In> a, Transpose transpose_a, Block<In> b, Transpose transpose_b, float beta, Block<Out> c) {
  const detail::Product product = product_of(alpha, a, transpose_a, b, transpose_b, beta, c);
  if (product.m == 0 || product.n == 0) return;
  const Phase phase("gemm");
  detail::gemm(stream_of(exec), product, a.data, b.data, c.data);
}

template <class In, class Out>
bool fused_gemm(const Exec& exec, Block<In> a, Transpose transpose_a, Block<In> b, Transpose transpose_b, const detail::Epilogue& epilogue,
                Block<Out> c) {
  if constexpr (kernels_run_at_once) {
    return false;
  } else {
    const detail::Product product = product_of(1, a, transpose_a, b, transpose_b, 0, c);
    if (product.m == 0 || product.n == 0) return true;
    const Phase phase("gemm");
    return detail::fused_gemm(stream_of(exec), product, epilogue, a.data, b.data, c.data);
  }
}

template void gemm(const Exec&, float, Block<float>, Transpose, Block<float>, Transpose, float, Block<float>);
template void gemm(const Exec&, float, Block<bf16>, Transpose, Block<bf16>, Transpose, float, Block<float>);
template void gemm(const Exec&, float, Block<bf16>, Transpose, Block<bf16>, Transpose, float, Block<bf16>);
template bool fused_gemm(const Exec&, Block<float>, Transpose, Block<float>, Transpose, const detail::Epilogue&, Block<float>);
template bool fused_gemm(const Exec&, Block<bf16>, Transpose, Block<bf16>, Transpose, const detail::Epilogue&, Block<float>);
template bool fused_gemm(const Exec&, Block<bf16>, Transpose, Block<bf16>, Transpose, const detail::Epilogue&, Block<bf16>);

bool multiplies_in(Precision precision) { return detail::multiplies_in(precision); }

}  // namespace lawa
