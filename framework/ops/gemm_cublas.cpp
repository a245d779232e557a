#include <cublas_v2.h>

#include <cstdint>

#include "core/error.hpp"
#include "ops/precision.hpp"

namespace lawa::detail {
namespace {

void check(cublasStatus_t status) { LAWA_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLAS: ", cublasGetStatusString(status)); }

/// cuBLAS' workspace of one thread, made at its first product.
struct Handle {
  cublasHandle_t handle{};
  Handle() { check(cublasCreate(&handle)); }
  ~Handle() { cublasDestroy(handle); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

}  // namespace

bool multiplies_in(Precision) { return true; }

void gemm(void* stream, Precision precision, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c) {
  thread_local Handle cublas;
  check(cublasSetStream(cublas.handle, static_cast<cudaStream_t>(stream)));
  // Row-major C = op(A) op(B) is column-major C^T = op(B)^T op(A)^T, and the stored blocks are those transposes already.
  const cublasComputeType_t type = precision == Precision::bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF : CUBLAS_COMPUTE_32F;
  check(cublasGemmEx_64(cublas.handle, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k,
                        &alpha, b, CUDA_R_32F, stride_b, a, CUDA_R_32F, stride_a, &beta, c, CUDA_R_32F, stride_c, type,
                        CUBLAS_GEMM_DEFAULT));
}

}  // namespace lawa::detail
