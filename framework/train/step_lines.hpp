// What metrics.jsonl says of steps, and of the one that ended a run.
#pragma once
#include <vector>

#include "checkpoint/run_directory.hpp"
#include "train/trainer.hpp"

namespace lawa {

/// Of a step that was made: kind "train", or "skip" where it was skipped, with where it wasn't finite.
Json step_line(const StepResult& step, int64_t trained_tokens, double seconds, double tokens_per_second);
/// Kind "spike", of a step whose loss was one.
Json spike_line(const StepResult& step);
/// Kind "outcome": the run has diverged.
Json divergence_line(const Diverged& diverged);
/// Kind "fault": a machine's, found by computing a step twice.
Json fault_line(const MachineFault& fault);

/// Tokens/s of the steps of a run's last start, as far as its lines say. On rank 0.
std::vector<double> rates_of_last_start(const RunDirectory& directory);

}  // namespace lawa
