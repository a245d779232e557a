// Elementary functions in plain arithmetic, free of branches and calls, so that loops over them become vector instructions.
#pragma once
#include <Kokkos_Core.hpp>
#include <cstdint>
#include <cstring>

namespace lawa::portable {

KOKKOS_INLINE_FUNCTION float larger(float a, float b) { return a < b ? b : a; }
KOKKOS_INLINE_FUNCTION float smaller(float a, float b) { return b < a ? b : a; }

KOKKOS_INLINE_FUNCTION uint16_t rounded_to_bf16(float x) {
  uint32_t whole;
  std::memcpy(&whole, &x, sizeof whole);
  const uint32_t rounded = (whole + 0x7fffu + (whole >> 16 & 1u)) >> 16;
  const uint32_t quiet_nan = (whole & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : 0u;
  return static_cast<uint16_t>(quiet_nan | rounded);
}

/// Clamped outside of -87 to 88.
/// x = n ln2 + r with |r| <= ln2/2; e^r as a Taylor polynomial of degree 7 (remainder 5e-9); 2^n through the exponent bits.
KOKKOS_INLINE_FUNCTION float exponential(float x) {
  constexpr float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which the low bits then hold
  const float clamped = smaller(larger(x, -87.0f), 88.0f);
  const float shifted = clamped * log2_e + rounder;
  const float n = shifted - rounder;
  const float r = (clamped - n * ln2_high) - n * ln2_low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;  // the rounder's own bits are shifted out
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}

}  // namespace lawa::portable
