#include <cblas.h>

#include "core/error.hpp"
#include "ops/gemm_backend.hpp"

namespace lawa::detail {
namespace {
int size(int64_t value) {
  LAWA_CHECK(value <= INT32_MAX, "BLAS: a matrix extent of ", value, " is over 2^31 - 1");
  return static_cast<int>(value);
}
}  // namespace

bool multiplies_in(Precision precision) { return precision == Precision::fp32; }

void gemm(void*, const Product& p, const void* a, const void* b, void* c) {
  LAWA_CHECK(multiplies_in(p.inputs), "BLAS has no product of bfloat16 numbers: build with oneDNN");
  cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans, p.transpose_b ? CblasTrans : CblasNoTrans, size(p.m), size(p.n),
              size(p.k), p.alpha, static_cast<const float*>(a), size(p.stride_a), static_cast<const float*>(b), size(p.stride_b), p.beta,
              static_cast<float*>(c), size(p.stride_c));
}

}  // namespace lawa::detail
