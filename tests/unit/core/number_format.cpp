// Stored numbers as floats: every pattern of the short formats, against what the formats' definitions say.
#include "core/number_format.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "support/errors.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// All patterns of 16 bits.
std::vector<uint16_t> patterns() {
  std::vector<uint16_t> all(65'536);
  std::iota(all.begin(), all.end(), uint16_t{0});
  return all;
}

template <class T>
std::vector<float> floats_of(const std::vector<T>& stored, NumberFormat format) {
  std::vector<float> out(stored.size());
  to_floats(std::as_bytes(std::span(stored)), format, out);
  return out;
}

/// What a pattern of one sign bit, some exponent bits and `mantissa_bits` mantissa bits means in IEEE 754.
float meaning(uint16_t pattern, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (pattern & 0x7fff) >> mantissa_bits, mantissa = pattern & ((1 << mantissa_bits) - 1);
  double value;
  if (exponent == (1 << exponent_bits) - 1)
    value = mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  else if (exponent == 0)
    value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
  else
    value = std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
  return static_cast<float>(std::copysign(value, pattern >> 15 != 0 ? -1.0 : 1.0));
}

/// Equal, the sign of zero included; of NaN, that it is one.
bool same_number(float a, float b) { return std::isnan(b) ? std::isnan(a) : a == b && std::signbit(a) == std::signbit(b); }

void expect_meanings(NumberFormat format, int mantissa_bits) {
  const auto stored = patterns();
  const auto found = floats_of(stored, format);
  for (size_t i = 0; i < stored.size(); ++i)
    ASSERT_TRUE(same_number(found[i], meaning(stored[i], mantissa_bits)))
        << name_of(format) << " 0x" << std::hex << stored[i] << " became " << found[i];
}

TEST(NumberFormats, EveryFloat16IsReadExactly) { expect_meanings(NumberFormat::float16, 10); }
TEST(NumberFormats, EveryBfloat16IsReadExactly) { expect_meanings(NumberFormat::bfloat16, 7); }

TEST(NumberFormats, Float16sOfNote) {
  const auto read = [](uint16_t pattern) { return floats_of(std::vector{pattern}, NumberFormat::float16).front(); };
  EXPECT_EQ(read(0x3c00), 1.0f);
  EXPECT_EQ(read(0xc000), -2.0f);
  EXPECT_EQ(read(0x7bff), 65504.0f) << "the largest";
  EXPECT_EQ(read(0x0400), 0x1p-14f) << "the smallest normal number";
  EXPECT_EQ(read(0x03ff), 0x1p-14f - 0x1p-24f) << "the largest denormal one";
  EXPECT_EQ(read(0x0001), 0x1p-24f) << "the smallest";
  EXPECT_EQ(read(0x7c00), infinity);
  EXPECT_EQ(read(0xfc00), -infinity);
  EXPECT_TRUE(std::isnan(read(0x7c01)) && std::isnan(read(0x7e00)) && std::isnan(read(0xffff)));
  EXPECT_TRUE(std::signbit(read(0x8000)));
}

TEST(NumberFormats, EveryBfloat16IsWrittenAsItWasRead) {
  const auto stored = patterns();
  const auto numbers = floats_of(stored, NumberFormat::bfloat16);
  std::vector<uint16_t> written(stored.size());
  from_floats(numbers, NumberFormat::bfloat16, std::as_writable_bytes(std::span(written)));
  EXPECT_TRUE(test::same_bits(written, stored)) << "NaN's payloads included";
}

TEST(NumberFormats, Float32IsCopiedAndMayLieInPlace) {
  std::vector<float> numbers{0.0f, -0.0f, 1.5f, 0x1p-149f, -infinity, std::bit_cast<float>(0x7fc12345)};
  const auto expected = numbers;
  EXPECT_TRUE(test::same_bits(floats_of(numbers, NumberFormat::float32), expected));
  to_floats(std::as_bytes(std::span(numbers)), NumberFormat::float32, numbers);
  EXPECT_TRUE(test::same_bits(numbers, expected));
  std::vector<float> written(numbers.size());
  from_floats(numbers, NumberFormat::float32, std::as_writable_bytes(std::span(written)));
  EXPECT_TRUE(test::same_bits(written, expected));
}

TEST(NumberFormats, Float64BecomesTheNearestFloat) {
  const std::vector<double> numbers{0.1, -0.0, 1 + 0x1p-24, 1 + 0x1.8p-23, 1e300, -1e-300, std::nan("")};
  const std::vector<float> expected{0.1f, -0.0f, 1.0f, 1 + 0x1p-22f, infinity, -0.0f, std::nanf("")};
  const auto found = floats_of(numbers, NumberFormat::float64);
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_TRUE(same_number(found[i], expected[i])) << numbers[i] << ": " << found[i];
}

TEST(NumberFormats, EveryFloat16IsWrittenAsItWasRead) {
  std::vector<uint16_t> all(1 << 16);
  std::iota(all.begin(), all.end(), uint16_t{0});
  const auto numbers = floats_of(all, NumberFormat::float16);
  std::vector<uint16_t> written(all.size());
  from_floats(numbers, NumberFormat::float16, std::as_writable_bytes(std::span(written)));
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(written[i], std::isnan(numbers[i]) ? all[i] | 0x200 : all[i]) << i << " is " << numbers[i];
}

TEST(NumberFormats, NeedNoAlignment) {
  const float number = -1.25f;
  for (const NumberFormat format : {NumberFormat::float32, NumberFormat::bfloat16}) {
    std::vector<std::byte> stored(5);
    const auto odd = std::span(stored).subspan(1, static_cast<size_t>(bytes_of(format)));
    float read = 0;
    from_floats(std::span(&number, 1), format, odd);
    to_floats(odd, format, std::span(&read, 1));
    EXPECT_EQ(read, number) << name_of(format);
  }
}

TEST(NumberFormats, NoNumbersAreFine) {
  for (const NumberFormat format : {NumberFormat::float16, NumberFormat::bfloat16, NumberFormat::float32, NumberFormat::float64})
    EXPECT_NO_THROW(to_floats({}, format, {}));
  EXPECT_NO_THROW(from_floats({}, NumberFormat::float32, {}));
}

TEST(NumberFormats, OfOtherSizesOrThatAreNotWrittenAreRefused) {
  std::vector<std::byte> stored(24);
  std::vector<float> numbers(3);
  for (const NumberFormat format : {NumberFormat::float16, NumberFormat::bfloat16, NumberFormat::float32, NumberFormat::float64}) {
    const auto right = static_cast<size_t>(3 * bytes_of(format));
    for (const size_t bytes : {size_t{0}, right - 1, right == 24 ? 12 : right + 1})
      EXPECT_EQ(error_of([&] { to_floats(std::span(stored).first(bytes), format, numbers); }),
                std::to_string(bytes) + " bytes for 3 numbers");
    const auto cut = std::span(stored).first(right - 1);
    EXPECT_THAT(error_of([&] { from_floats(numbers, format, cut); }), HasSubstr("bytes for 3 numbers"));
  }
  EXPECT_EQ(error_of([&] { from_floats(numbers, NumberFormat::float64, stored); }), "float64 isn't written");
}

}  // namespace
}  // namespace lawa
