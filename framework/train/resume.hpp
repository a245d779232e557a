// Where a run begins, or goes on.
#pragma once
#include "checkpoint/run_directory.hpp"
#include "core/log.hpp"
#include "train/trainer.hpp"

namespace lawa {

struct Resumed {
  bool from_checkpoint = false;  ///< of the run itself
  bool evaluation = false;       ///< that of the checkpoint's step is still to be made
};

/// Brings the trainer to the newest whole checkpoint of the run, else to what start.* names, else to its seed, and cuts metrics.jsonl there.
/// Only damage, which is what a file's bytes say, makes it go back to an older one, past checkpoint.damaged of them at most; what the system
/// refuses is tried checkpoint.tries times. `git` is the program's. Collective. Errors: the system's; more are damaged; there are
/// checkpoints with states, and none is whole; Trainer::load's, of start.*.
Resumed begin_or_go_on(const Communicator& comm, const TrainConfig& config, const RunDirectory& directory, Trainer& trainer, const std::string& git,
                       Log& log);

}  // namespace lawa
