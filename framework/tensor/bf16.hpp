// bfloat16: a float's upper half. Kernels compute in float; bf16 is how numbers are kept.
#pragma once
#include <Kokkos_Core.hpp>
#include <cstdint>
#include <cstring>

namespace lawa {

struct bf16 {
  uint16_t bits;

  bf16() = default;
  KOKKOS_INLINE_FUNCTION explicit bf16(float x) { *this = x; }
  /// The nearest, ties to even; NaN stays NaN. Free of branches and temporaries, so that loops over it become vector instructions.
  KOKKOS_INLINE_FUNCTION bf16& operator=(float x) {
    uint32_t whole;
    std::memcpy(&whole, &x, sizeof whole);
    const uint32_t rounded = (whole + 0x7fffu + (whole >> 16 & 1u)) >> 16;
    const uint32_t quiet_nan = (whole & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : 0u;
    bits = static_cast<uint16_t>(quiet_nan | rounded);
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
