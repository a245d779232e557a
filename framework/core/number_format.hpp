// Numbers as files hold them, little-endian, and as the program does: in floats.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lawa {

enum class NumberFormat { float16, bfloat16, float32, float64 };

/// Bytes of one number.
constexpr int64_t bytes_of(NumberFormat format) {
  return format == NumberFormat::float64 ? 8 : format == NumberFormat::float32 ? 4 : 2;
}
constexpr const char* name_of(NumberFormat format) {
  constexpr const char* names[] = {"float16", "bfloat16", "float32", "float64"};
  return names[static_cast<int>(format)];
}

/// The largest finite number of a format.
constexpr double largest_of(NumberFormat format) {
  constexpr double largest[] = {65504, 0x1.FEp127, 0x1.FFFFFEp127, 0x1.FFFFFFFFFFFFFp1023};
  return largest[static_cast<int>(format)];
}
/// True when a format holds every number of another one.
constexpr bool holds(NumberFormat format, NumberFormat other) { return format == other || bytes_of(format) > bytes_of(other); }

/// out[i] = the i-th stored number, exactly; of float64 the nearest float. stored holds out.size() numbers, and may be out's own
/// bytes where the format is float32.
void to_floats(std::span<const std::byte> stored, NumberFormat format, std::span<float> out);

/// The other way, for numbers that the format holds exactly (a bfloat16 is kept in a float whose low half is zero). Errors: float64,
/// which isn't written.
void from_floats(std::span<const float> numbers, NumberFormat format, std::span<std::byte> stored);
/// The same, into room of its own.
std::vector<std::byte> from_floats(std::span<const float> numbers, NumberFormat format);

}  // namespace lawa
