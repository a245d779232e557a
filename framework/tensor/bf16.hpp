// bfloat16: a float's upper half. Kernels compute in float; bf16 is how numbers are kept.
#pragma once
#include <Kokkos_Core.hpp>
#include <cstdint>
#include <cstring>

#include "tensor/instructions.hpp"

namespace lawa {

struct bf16 {
  uint16_t bits;

  bf16() = default;
  KOKKOS_INLINE_FUNCTION explicit bf16(float x) { *this = x; }
  /// The nearest, ties to even; NaN stays NaN.
  KOKKOS_INLINE_FUNCTION bf16& operator=(float x) {
    bits = rounded_to_bf16(x);
    return *this;
  }
  KOKKOS_INLINE_FUNCTION operator float() const {
    const uint32_t whole = static_cast<uint32_t>(bits) << 16;
    float x;
    std::memcpy(&x, &whole, sizeof x);
    return x;
  }
};

}  // namespace lawa
