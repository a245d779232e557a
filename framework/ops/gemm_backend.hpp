// The matrix product that a backend file implements: gemm_onednn.cpp, gemm_blas.cpp or gemm_cublas.cpp.
#pragma once
#include <compare>
#include <cstdint>

#include "ops/precision.hpp"

namespace lawa::detail {

/// Row-major C (m, n) = alpha op(A) op(B) + beta C with op(A) (m, k), op(B) (k, n); strides are elements between rows as stored.
struct Product {
  Precision inputs, output;  ///< what A and B are made of, and what C is
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  float alpha, beta;
  int64_t stride_a, stride_b, stride_c;
  auto operator<=>(const Product&) const = default;
};

/// What becomes of a product's elements before they are written, in this order: + residual, + bias, then gelu's tanh form or its slope.
struct Epilogue {
  enum class Gelu { none, forward, backward };
  const void* residual = nullptr;  ///< as large as C, and made of the same numbers; or none
  const void* bias = nullptr;      ///< (n), made of what the inputs are made of, added to every row; or none
  Gelu gelu = Gelu::none;
  void* gelu_input = nullptr;      ///< as large as C: forward writes what gelu is taken of, backward multiplies with gelu's slope there
};

bool multiplies_in(Precision precision);
/// `stream` is stream_of(exec).
void gemm(void* stream, const Product& product, const void* a, const void* b, void* c);
/// The same with an epilogue, where the product's beta is 0; false, with nothing done, where the library can't do it in one. Only a
/// device's backend has it.
bool fused_gemm(void* stream, const Product& product, const Epilogue& epilogue, const void* a, const void* b, void* c);

}  // namespace lawa::detail
