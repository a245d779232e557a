#include "train/spikes.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/median.hpp"

namespace lawa {
namespace {

constexpr double of_normal_noise = 1.4826;  // standard deviations in a median absolute deviation
constexpr double least_share = 1e-3;        // of the median: losses that hardly differ make no spikes

}  // namespace

void SpikeWatch::restart(std::span<const double> losses) {
  losses_.clear();
  for (const double loss : losses.subspan(losses.size() - std::min(losses.size(), window))) losses_.push_back(loss);
}

std::optional<Spike> SpikeWatch::judge(double loss) const {
  if (least_deviations_ == 0 || losses_.size() < least) return std::nullopt;
  std::vector<double> values(losses_.begin(), losses_.end());
  const double expected = median(values);
  for (double& value : values) value = std::abs(value - expected);
  const double deviation = std::max(of_normal_noise * median(values), least_share * std::abs(expected));
  const double deviations = (loss - expected) / deviation;
  if (deviations < least_deviations_) return std::nullopt;
  return Spike{expected, deviations};
}

void SpikeWatch::add(double loss) {
  losses_.push_back(loss);
  if (losses_.size() > window) losses_.pop_front();
}

}  // namespace lawa
