#include <cublas_v2.h>

#include <cstdint>

#include "core/error.hpp"
#include "ops/gemm_backend.hpp"

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

cudaDataType_t type_of(Precision precision) { return precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

}  // namespace

bool multiplies_in(Precision) { return true; }

void gemm(void* stream, const Product& p, const void* a, const void* b, void* c) {
  thread_local Handle cublas;
  check(cublasSetStream(cublas.handle, static_cast<cudaStream_t>(stream)));
  // Row-major C = op(A) op(B) is column-major C^T = op(B)^T op(A)^T, and the stored blocks are those transposes already.
  check(cublasGemmEx_64(cublas.handle, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, p.n, p.m, p.k,
                        &p.alpha, b, type_of(p.inputs), p.stride_b, a, type_of(p.inputs), p.stride_a, &p.beta, c, type_of(p.output),
                        p.stride_c, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
}

}  // namespace lawa::detail
