// The matrix product: one function, one backend file (gemm_onednn.cpp, gemm_blas.cpp, gemm_cublas.cpp).
#pragma once
#include "ops/gemm_backend.hpp"
#include "ops/precision.hpp"
#include "tensor/bf16.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// A row-major block of a larger matrix: rows lie `stride` elements apart.
template <class T>
struct Block {
  T* data = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;
};

template <class T>
Block<T> block(const Matrix<T>& x) {
  return {x.data(), rows(x), columns(x), columns(x)};
}
/// Rows [r.begin, r.end) and columns [c.begin, c.end) of a matrix.
template <class T>
Block<T> block(const Matrix<T>& x, Range r, Range c) {
  return {x.data() + r.begin * columns(x) + c.begin, r.size(), c.size(), columns(x)};
}
/// The first rows and columns of a matrix that is room for them.
template <class T>
Block<T> corner(const Matrix<T>& x, int64_t rows, int64_t columns) {
  return block(x, {0, rows}, {0, columns});
}

enum class Transpose { no, yes };

/// C = alpha op(A) op(B) + beta C, with sums in float32; with beta = 0, C is only written. A and B are float or bf16, both the same, and
/// C is float or of their type. Queued on exec. Errors: shapes that don't fit.
template <class In, class Out>
void gemm(const Exec& exec, float alpha, Block<In> a, Transpose transpose_a, Block<In> b, Transpose transpose_b, float beta, Block<Out> c);
/// C = op(A) op(B) with an epilogue, in one; false, with nothing done, where this build's library can't: never on a CPU.
template <class In, class Out>
bool fused_gemm(const Exec& exec, Block<In> a, Transpose transpose_a, Block<In> b, Transpose transpose_b, const detail::Epilogue& epilogue,
                Block<Out> c);
/// Whether this build and processor can multiply such numbers.
bool multiplies_in(Precision precision);

}  // namespace lawa
