#include "train/pace.hpp"

#include <cstdio>

#include "core/median.hpp"

namespace lawa {
Pace::Pace(std::span<const double> before) {
  if (before.size() >= first_steps) before_ = median({before.begin(), before.end()});
}

std::optional<std::string> Pace::add(double tokens_per_second) {
  if (!before_ || now_.size() == first_steps) return std::nullopt;
  now_.push_back(tokens_per_second);
  if (now_.size() < first_steps) return std::nullopt;
  const double now = median(now_);
  if (now >= far_below * *before_) return std::nullopt;
  char text[300];
  std::snprintf(text, sizeof text,
                "this start makes %.0f tokens/s over its first %zu steps, and the last one made %.0f on the same device and as many ranks: "
                "is the machine shared, throttled or at fault? lawa doctor measures it",
                now, first_steps, *before_);
  return text;
}

}  // namespace lawa
