// The matrix product: one function, one backend file (gemm_onednn.cpp, gemm_blas.cpp, gemm_cublas.cpp).
#pragma once
#include "ops/precision.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// A row-major block of a larger matrix: rows lie `stride` elements apart.
struct Block {
  float* data = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;
};

inline Block block(const Matrix<float>& x) { return {x.data(), rows(x), columns(x), columns(x)}; }
/// Rows [r.begin, r.end) and columns [c.begin, c.end) of a matrix.
inline Block block(const Matrix<float>& x, Range r, Range c) {
  return {x.data() + r.begin * columns(x) + c.begin, r.size(), c.size(), columns(x)};
}

enum class Transpose { no, yes };

/// C = alpha op(A) op(B) + beta C; with beta = 0, C is only written. bf16 rounds A and B to bfloat16 on their way in. Queued on exec.
/// Errors: shapes that don't fit.
void gemm(const Exec& exec, float alpha, Block a, Transpose transpose_a, Block b, Transpose transpose_b, float beta, Block c,
          Precision precision = Precision::fp32);
/// Whether this build and processor can.
bool multiplies_in(Precision precision);

namespace detail {
/// What a backend file implements; the second: row-major C (m, n) = alpha op(A) op(B) + beta C with op(A) (m, k), op(B) (k, n); strides are
/// elements between rows as stored; `stream` is stream_of(exec).
bool multiplies_in(Precision precision);
void gemm(void* stream, Precision precision, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c);
}  // namespace detail

}  // namespace lawa
