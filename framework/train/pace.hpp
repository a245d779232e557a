// Whether a run is far slower than at its last start.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lawa {

/// Compares the median speed of this start's first steps with that of the last start's, on the same device and as many ranks. Nothing is
/// measured for it.
class Pace {
 public:
  static constexpr size_t first_steps = 20;      ///< this start's that are compared, and of the last start's the least
  static constexpr double far_below = 0.6;       ///< of the last start's speed

  /// before: tokens/s of each step of the last start; too few of them: nothing is compared.
  explicit Pace(std::span<const double> before = {});
  /// After a step; what to say behind the one that decides, where this start is far slower.
  std::optional<std::string> add(double tokens_per_second);

 private:
  std::optional<double> before_{};
  std::vector<double> now_{};
};

}  // namespace lawa
