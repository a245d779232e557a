#include "ops/gemm.hpp"

#include "tensor/device.hpp"
#include "tensor/phases.hpp"

namespace lawa {

void gemm(const Exec& exec, float alpha, Block a, Transpose transpose_a, Block b, Transpose transpose_b, float beta, Block c,
          Precision precision) {
  const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
  const int64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const int64_t n = tb ? b.rows : b.columns;
  LAWA_CHECK((tb ? b.columns : b.rows) == k && c.rows == m && c.columns == n, "gemm: (", m, ", ", k, ") times (",
             tb ? b.columns : b.rows, ", ", n, ") into (", c.rows, ", ", c.columns, ")");
  if (m == 0 || n == 0) return;
  const Phase phase("gemm");
  detail::gemm(stream_of(exec), precision, ta, tb, m, n, k, alpha, a.data, a.stride, b.data, b.stride, beta, c.data, c.stride);
}

bool multiplies_in(Precision precision) { return detail::multiplies_in(precision); }

}  // namespace lawa
