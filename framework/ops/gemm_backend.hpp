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

bool multiplies_in(Precision precision);
/// `stream` is stream_of(exec).
void gemm(void* stream, const Product& product, const void* a, const void* b, void* c);

}  // namespace lawa::detail
