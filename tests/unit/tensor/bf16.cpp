// bf16 against arithmetic on doubles: all that it holds, and all that may round to it.
#include "tensor/bf16.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/philox.hpp"

namespace lawa {
namespace {

constexpr uint32_t patterns = 1 << 16;

bf16 of_pattern(uint32_t pattern) {
  bf16 x;
  x.bits = static_cast<uint16_t>(pattern);
  return x;
}
bool is_nan(uint32_t pattern) { return (pattern & 0x7f80u) == 0x7f80u && (pattern & 0x7fu) != 0; }

/// What a pattern counts as when the nearest is looked for: itself, but infinity as the power of two behind the largest number.
double magnitude(uint32_t pattern) {
  const uint32_t exponent = pattern >> 7 & 0xffu, fraction = pattern & 0x7fu;
  return exponent == 0 ? std::ldexp(fraction, -133) : std::ldexp(128 + fraction, static_cast<int>(exponent) - 134);
}
/// The pattern nearest to x, of two equally near ones the even one: by distances.
uint32_t nearest(float x) {
  const uint32_t below = std::bit_cast<uint32_t>(x) >> 16, above = below + 1;  // in magnitude
  const double size = std::abs(static_cast<double>(x));
  const double down = size - magnitude(below), up = magnitude(above) - size;
  if (down == up) return below % 2 == 0 ? below : above;
  return down < up ? below : above;
}

TEST(Bf16, EveryPatternIsAFloatAndComesBack) {
  for (uint32_t pattern = 0; pattern < patterns; ++pattern) {
    const float x = of_pattern(pattern);
    ASSERT_EQ(std::bit_cast<uint32_t>(x), pattern << 16);
    if (is_nan(pattern))
      ASSERT_TRUE(is_nan(bf16(x).bits)) << pattern;
    else
      ASSERT_EQ(bf16(x).bits, pattern);
  }
}

TEST(Bf16, IsTheNearestAndOfTwoTheEvenOne) {
  const auto check = [](uint32_t bits) {
    const auto x = std::bit_cast<float>(bits);
    if (!std::isfinite(x)) return;
    ASSERT_EQ(bf16(x).bits, nearest(x)) << std::hexfloat << x;
  };
  // Between each number and the next: the ends, the tie, and its neighbours. Subnormals and those that overflow are among them.
  for (uint32_t pattern = 0; pattern < patterns; ++pattern)
    for (const uint32_t rest : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) check(pattern << 16 | rest);
  for (uint64_t i = 0; i < 300'000; ++i) check(static_cast<uint32_t>(random_bits(1, RandomStream::test, i)));
}

TEST(Bf16, OverflowsToInfinityFromTheTieOn) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto largest = static_cast<float>(of_pattern(0x7f7f)), tie = std::bit_cast<float>(0x7f7f8000u);
  EXPECT_EQ(bf16(std::nextafter(tie, 0.0f)), largest);
  for (const float x : {tie, std::numeric_limits<float>::max(), infinity}) {
    EXPECT_EQ(bf16(x), infinity);
    EXPECT_EQ(bf16(-x), -infinity);
  }
}

TEST(Bf16, NaNStaysNaNWhateverItsPayload) {  // 0x7fffffff and 0xffffffff among them, which overflow when they are rounded
  for (const uint32_t sign : {0u, 0x80000000u})
    for (uint32_t upper = 0; upper < 0x80; ++upper)
      for (const uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
        const uint32_t bits = sign | 0x7f800000u | upper << 16 | lower;
        if ((upper | lower) == 0) continue;  // infinity
        ASSERT_TRUE(is_nan(bf16(std::bit_cast<float>(bits)).bits)) << std::hex << bits;
      }
}

}  // namespace
}  // namespace lawa
