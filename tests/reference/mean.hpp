// The mean of floats, rounded once: the number nearest to the exact sum over the count, ties to even.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace lawa::reference {

/// A sum of doubles without any rounding, kept as doubles that don't overlap, smallest first (Shewchuk 1997, Grow-Expansion).
class ExactSum {
 public:
  void add(double x) {
    std::vector<double> grown;
    for (const double part : parts_) {
      const double sum = x + part, from_part = sum - x;
      const double error = (x - (sum - from_part)) + (part - from_part);
      if (error != 0) grown.push_back(error);
      x = sum;
    }
    if (x != 0) grown.push_back(x);
    parts_ = grown;
  }
  /// The sum, nearly: within a few units in the last place.
  double approximate() const {
    double total = 0;
    for (const double part : parts_) total += part;
    return total;
  }
  /// -1, 0 or 1, exactly: the largest part decides.
  int sign() const { return parts_.empty() ? 0 : parts_.back() < 0 ? -1 : 1; }

 private:
  std::vector<double> parts_;
};

/// How far apart the bits of neighbouring numbers are, when they are kept in floats.
enum Grain : uint32_t { float32 = 1, bfloat16 = 1 << 16 };

/// Finite values, at least one. A sum of zero has the sign that float64 gives it.
inline float mean(std::span<const float> values, Grain grain = float32) {
  ExactSum sum;
  for (const float value : values) sum.add(static_cast<double>(value));
  if (sum.sign() == 0) return std::ranges::all_of(values, [](float x) { return std::signbit(x); }) ? -0.0f : 0.0f;
  const auto count = static_cast<double>(values.size());
  const double sign = sum.sign();
  const auto compare = [&](double x) {  // the exact magnitude with x: -1, 0, 1; few bits, so that count * x is exact
    ExactSum difference = sum;
    difference.add(-sign * count * x);
    return static_cast<int>(sign) * difference.sign();
  };
  const auto number = [](uint32_t bits) {  // infinity's bits come where 2^128 would
    const auto x = static_cast<double>(std::bit_cast<float>(bits));
    return std::isinf(x) ? 0x1p128 : x;
  };
  uint32_t below = std::bit_cast<uint32_t>(static_cast<float>(std::abs(sum.approximate()) / count)) / grain * grain;
  if (compare(number(below)) < 0) below -= grain;  // bits ascend with magnitudes
  const int half = compare((number(below) + number(below + grain)) / 2);
  if (half > 0 || (half == 0 && below / grain % 2 == 1)) below += grain;
  return std::copysign(std::bit_cast<float>(below), static_cast<float>(sign));
}

}  // namespace lawa::reference
