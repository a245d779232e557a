// A whole run: find where to go on, train, evaluate, keep checkpoints, report.
#pragma once
#include "comm/communicator.hpp"
#include "core/log.hpp"
#include "train/train_config.hpp"

namespace lawa {

/// Seconds of training. A start that took as long measures at its end, for two seconds, how fast matrix products are.
inline constexpr double measured_from_seconds = 30;

/// Trains in config.run.directory up to config.schedule.steps, going on from its newest whole checkpoint. Collective. A finished
/// run is left as it is. `source` is what the config was loaded from: errors name places in it. Errors: bad files and folders;
/// Diverged, which leaves its step in a last line of metrics.jsonl.
void run_training(const Communicator& comm, const TrainConfig& config, Log& log, const ConfigSource& source = {},
                  double measured_from = measured_from_seconds);

}  // namespace lawa
