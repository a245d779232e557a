// When a run ends before its schedule: its loss has stopped falling.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.hpp"
#include "core/json.hpp"
#include "train/train_config.hpp"

namespace lawa {

/// True when the last `patience` losses (in the order of evaluation) didn't go below the lowest one before them; never for patience
/// 0. What isn't finite is no improvement.
bool patience_is_over(std::span<const double> losses, int64_t patience);

/// The config's rule, and the losses that it looks at.
class StopRule {
 public:
  explicit StopRule(const TrainConfig& config) : config_(config) {}

  /// Takes the losses of some lines of metrics.jsonl of kind "evaluate" (rank 0's, on all ranks) in place of those so far. Collective.
  void restart(const Communicator& comm, const std::vector<Json>& lines);
  /// Looks at one line more.
  void add(const Json& line);
  bool met() const { return patience_is_over(losses_, config_.stop.patience); }

 private:
  bool counts(const Json& line) const;

  const TrainConfig& config_;
  std::vector<double> losses_;
};

}  // namespace lawa
