#include <cublas_v2.h>

#include <cstdint>

#include "core/error.hpp"

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

void gemm(void* stream, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c) {
  thread_local Handle cublas;
  check(cublasSetStream(cublas.handle, static_cast<cudaStream_t>(stream)));
  // Row-major C = op(A) op(B) is column-major C^T = op(B)^T op(A)^T, and the stored blocks are those transposes already.
  check(cublasSgemm_64(cublas.handle, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, n, m, k,
                       &alpha, b, stride_b, a, stride_a, &beta, c, stride_c));
}

}  // namespace lawa::detail
