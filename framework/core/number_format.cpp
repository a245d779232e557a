#include "core/number_format.hpp"

#include <bit>
#include <cstring>

#include "core/error.hpp"

namespace lawa {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

/// The i-th of some stored numbers; they need not be aligned.
template <class T>
T stored_at(std::span<const std::byte> stored, size_t i) {
  T value;
  std::memcpy(&value, stored.data() + i * sizeof(T), sizeof(T));
  return value;
}

float from_bfloat16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// IEEE 754 binary16. Its exponent and mantissa, moved to a float's place, are 2^112 too small, denormals included.
float from_float16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const bool finite = magnitude < 0x0f800000;
  const float value = finite ? std::bit_cast<float>(magnitude) * 0x1p112f : std::bit_cast<float>(magnitude | 0x7f800000);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

/// Of a number that a float16 holds.
uint16_t to_float16(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));  // NaN
  if (magnitude == 0x7f800000) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude >= 0x38800000) return static_cast<uint16_t>(sign | ((magnitude >> 13) - (112u << 10)));
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p24f));  // denormal
}

uint16_t to_bfloat16(float number) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(number) >> 16); }

}  // namespace

void to_floats(std::span<const std::byte> stored, NumberFormat format, std::span<float> out) {
  LAWA_CHECK(std::ssize(stored) == std::ssize(out) * bytes_of(format), stored.size(), " bytes for ", out.size(), " numbers");
  const size_t n = out.size();
  switch (format) {
    case NumberFormat::float16:
      for (size_t i = 0; i < n; ++i) out[i] = from_float16(stored_at<uint16_t>(stored, i));
      return;
    case NumberFormat::bfloat16:
      for (size_t i = 0; i < n; ++i) out[i] = from_bfloat16(stored_at<uint16_t>(stored, i));
      return;
    case NumberFormat::float32:
      if (n > 0 && static_cast<const void*>(stored.data()) != out.data()) std::memcpy(out.data(), stored.data(), stored.size());
      return;
    case NumberFormat::float64:
      for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(stored_at<double>(stored, i));
      return;
  }
}

void from_floats(std::span<const float> numbers, NumberFormat format, std::span<std::byte> stored) {
  LAWA_CHECK(std::ssize(stored) == std::ssize(numbers) * bytes_of(format), stored.size(), " bytes for ", numbers.size(), " numbers");
  LAWA_CHECK(format != NumberFormat::float64, name_of(format), " isn't written");
  if (format == NumberFormat::float32) {
    if (!numbers.empty()) std::memcpy(stored.data(), numbers.data(), stored.size());
    return;
  }
  const bool half = format == NumberFormat::float16;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const uint16_t bits = half ? to_float16(numbers[i]) : to_bfloat16(numbers[i]);
    std::memcpy(stored.data() + i * sizeof bits, &bits, sizeof bits);
  }
}

std::vector<std::byte> from_floats(std::span<const float> numbers, NumberFormat format) {
  std::vector<std::byte> stored(numbers.size() * static_cast<size_t>(bytes_of(format)));
  from_floats(numbers, format, stored);
  return stored;
}

}  // namespace lawa
