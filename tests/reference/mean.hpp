// The mean of floats, rounded once: the float nearest to the exact sum over the count, ties to even.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
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

/// Finite values, at least one; the mean must lie inside float's range.
inline float mean(std::span<const float> values) {
  ExactSum sum;
  for (const float value : values) sum.add(static_cast<double>(value));
  const auto count = static_cast<double>(values.size());
  auto nearest = static_cast<float>(sum.approximate() / count);
  for (const float towards : {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()}) {
    const float other = std::nextafter(nearest, towards);
    const double middle = (static_cast<double>(nearest) + static_cast<double>(other)) / 2;  // 25 bits: exact
    if (!std::isfinite(middle)) continue;
    ExactSum beyond = sum;  // is the exact mean on the other side of the middle?
    beyond.add(-count * middle);
    const int side = towards > 0 ? beyond.sign() : -beyond.sign();
    const bool nearest_is_odd = (std::bit_cast<uint32_t>(nearest) & 1) != 0;
    if (side > 0 || (side == 0 && nearest_is_odd)) return other;
  }
  return nearest;
}

}  // namespace lawa::reference
