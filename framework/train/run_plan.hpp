// What a run will take, before it starts: arithmetic over its config, with the rules and formulas that the run itself goes by.
#pragma once
#include "train/train_config.hpp"

namespace lawa {

/// What a run saves and evaluates over all its steps. Bytes are of files; a stop on request adds a checkpoint for a while.
struct RunOutput {
  int64_t checkpoints = 0, states = 0, averages = 0;  ///< weights files, those with a state beside them, files of averages
  int64_t evaluations = 0;                            ///< of the plain weights and of averages
  int64_t most_weights = 0;                           ///< checkpoints that lie there at a time, the one being written among them
  int64_t most_states = 0;                            ///< that lie there at a time: those that are kept, and the one being written
  int64_t most_snapshots = 0;                         ///< of online averages that a rank holds at a time, each once
  int64_t weights_bytes = 0;                          ///< of a checkpoint's weights, or of an average
  int64_t state_bytes = 0;                            ///< of the largest state
  int64_t written_bytes = 0, disk_bytes = 0;          ///< in all, and at most at a time
};

/// The steps first_step + 1 … schedule.steps, one by one. The stop rule doesn't count: it may only make a run shorter.
RunOutput run_output(const TrainConfig& config, int64_t first_step = 0);

/// Bytes of memory on the rank that needs most; what the program and its libraries take comes on top. Token files are mapped: the
/// system has their pages in memory as long as nobody else needs it, and they don't count.
struct RankMemory {
  int64_t weights = 0, gradients = 0;  ///< of the whole model, as it computes with them
  int64_t activations = 0;             ///< of a micro-batch
  int64_t optimizer = 0;               ///< this rank's part: two moments, and weights and gradients where they aren't the whole model's
  int64_t averages = 0;                ///< float64 sums of online averages, and an average while it is evaluated or saved
  int64_t snapshots = 0;               ///< of online averages, in the machine's memory
  int64_t saves = 0;                   ///< copies of what is being saved, in the machine's memory

  int64_t total() const { return weights + gradients + activations + optimizer + averages + snapshots + saves; }
};
RankMemory rank_memory(const TrainConfig& config, int ranks, int64_t most_snapshots);

/// The share of the ranks' time that is used where `sequences` of equal cost are split over them: the rank that has most sets the pace.
double split_efficiency(int64_t sequences, int64_t ranks);

/// The share of matrix products' rate that training reaches: measured for the model of nearest size that isn't larger.
struct MeasuredShare {
  const char* model;  ///< as tests/benchmark/training.jsonl calls it
  int64_t parameters;
  double fp32, bf16;
};
const MeasuredShare& measured_share(int64_t parameters);

/// The share of matrix products' rate that training is expected to reach here: measured_share's on a CPU, an assumption on a GPU.
double expected_share(int64_t parameters, Precision precision);
inline constexpr double assumed_gpu_share = 0.4;  // nothing was measured there

}  // namespace lawa
