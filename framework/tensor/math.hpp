// Elementary functions for kernels, the same on every Kokkos version and device. `exp` is free of branches and calls, so that
// loops over it become vector instructions.
#pragma once
#include <Kokkos_Core.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace lawa {

KOKKOS_INLINE_FUNCTION float square_root(float x) { return ::sqrtf(x); }
KOKKOS_INLINE_FUNCTION double logarithm(double x) { return ::log(x); }
KOKKOS_INLINE_FUNCTION float error_function(float x) { return ::erff(x); }
KOKKOS_INLINE_FUNCTION float larger(float a, float b) { return a < b ? b : a; }
KOKKOS_INLINE_FUNCTION float smaller(float a, float b) { return b < a ? b : a; }

/// e^x within 2 units in the last place for -87 < x < 88, clamped outside: exp(-inf) is about 1e-38.
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

/// 1 / (1 + e^-x)
KOKKOS_INLINE_FUNCTION float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

}  // namespace lawa
