// Loss spikes: a step's training loss far above those before it.
#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

namespace lawa {

struct Spike {
  double expected = 0;    ///< the median of the losses before it [nats/token]
  double deviations = 0;  ///< how far above it the loss is, in robust deviations
};

/// Judges each loss by the last 64 before it, or all that there are from the 33rd on: a robust deviation is 1.4826 times their median absolute
/// deviation from their median (the standard deviation of normal noise; Hampel 1974), and at least 0.1 % of the median. What it says depends
/// on the losses only, so that a resumed run says it again. Spikes count among the losses: a median doesn't mind a few.
class SpikeWatch {
 public:
  static constexpr size_t window = 64, least = 32;

  /// least_deviations: from which on a loss is a spike; 0: none is.
  explicit SpikeWatch(double least_deviations) : least_deviations_(least_deviations) {}

  /// What was before: the newest losses, the oldest first.
  void restart(std::span<const double> losses);
  /// Whether a loss is a spike. The loss is finite.
  std::optional<Spike> judge(double loss) const;
  /// It was a step's, and counts from now on.
  void add(double loss);

 private:
  double least_deviations_;
  std::deque<double> losses_{};
};

}  // namespace lawa
