#include <cblas.h>

#include "ops/gemm.hpp"

namespace lawa::detail {
namespace {
int size(int64_t value) {
  LAWA_CHECK(value <= INT32_MAX, "BLAS: a matrix extent of ", value, " is over 2^31 - 1");
  return static_cast<int>(value);
}
}  // namespace

bool multiplies_in(Precision precision) { return precision == Precision::fp32; }

void gemm(void*, Precision precision, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c) {
  LAWA_CHECK(multiplies_in(precision), "BLAS has no product of bfloat16 numbers: build with oneDNN");
  cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, size(m), size(n),
              size(k), alpha, a, size(stride_a), b, size(stride_b), beta, c, size(stride_c));
}

}  // namespace lawa::detail
