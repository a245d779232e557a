#include <oneapi/dnnl/dnnl.h>

#include "ops/gemm.hpp"

namespace lawa::detail {

void gemm(void*, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c) {
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, stride_a, b,
                                          stride_b, beta, c, stride_c);
  LAWA_CHECK(status == dnnl_success, "oneDNN: sgemm of ", m, " x ", n, " x ", k, " failed with status ", static_cast<int>(status));
}

}  // namespace lawa::detail
