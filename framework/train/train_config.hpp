// Everything that a run is made from.
#pragma once
#include "average/online_config.hpp"
#include "data/batch_plan.hpp"
#include "model/model_config.hpp"
#include "optim/adamw.hpp"
#include "ops/precision.hpp"
#include "optim/schedule.hpp"

namespace lawa {

struct StartConfig {
  std::string checkpoint, weights;
};
template <class Visitor>
void visit(StartConfig& c, Visitor&& v) {
  v("checkpoint", c.checkpoint, "a run's step_….weights.h5 with its state beside it: go on from there, as a branch", a_path());
  v("weights", c.weights, "a weights file (an average, say) to begin a new run from", a_path());
}

struct EvaluateConfig {
  int64_t steps = 1000;
  std::vector<int64_t> at{};
  bool halves = false;
};
template <class Visitor>
void visit(EvaluateConfig& c, Visitor&& v) {
  v("steps", c.steps, "evaluate every so many steps, and at the end; 0 = never but where `at` says so", at_least(0));
  v("at", c.at, "also evaluate at these steps", at_least(1));
  v("halves", c.halves, "give the losses of the validation set's first and second half, too: tune_loss and report_loss");
}

struct CheckpointConfig {
  int64_t steps = 1000, state_steps = 1000, keep_states = 2, keep_weights = 0, keep_weights_steps = 0, tries = 3, damaged = 3;
  bool fsync = true, asynchronous = true;
  std::string writer = "direct";
  std::vector<std::string> hints{};
};
template <class Visitor>
void visit(CheckpointConfig& c, Visitor&& v) {
  v("steps", c.steps, "keep the weights every so many steps, and at the end; 0 = only at the end", at_least(0));
  v("state_steps", c.state_steps, "save what resuming needs every so many steps, and at the end; 0 = only at the end", at_least(0));
  v("keep_states", c.keep_states, "of the saved states, keep the newest so many", at_least(1));
  v("keep_weights", c.keep_weights, "of the saved weights, keep the newest so many, and those beside a state; 0 = all", at_least(0));
  v("keep_weights_steps", c.keep_weights_steps, "with keep_weights, also keep those of every so many steps; 0 = no others", at_least(0));
  v("fsync", c.fsync, "make each file durable before it gets its name");
  v("asynchronous", c.asynchronous, "go on while a copy in memory is written; with hdf5 every save is waited for");
  v("tries", c.tries, "try a save, and at a start a load that the system refuses, so often, with a pause behind a failure, before the run ends with its error",
    at_least(1));
  v("damaged", c.damaged, "a start goes on from an older checkpoint where so many newer ones at most are damaged; where more are, it ends with an error",
    at_least(0));
  v("writer", c.writer, "direct: each rank writes its own parts; hdf5: all together by parallel HDF5, in large transfers. The bytes are the same",
    one_of({"direct", "hdf5"}));
  v("hints", c.hints, "hdf5: for MPI-IO, as [\"cb_nodes=4\"]; how files are striped is their folder's (lfs setstripe)");
}

/// What comes of numbers that nobody expects.
struct NumericsConfig {
  std::string nonfinite = "stop";
  int64_t skips = 5;
  double spike_deviations = 8;
  bool recheck = true;
};
template <class Visitor>
void visit(NumericsConfig& c, Visitor&& v) {
  v("nonfinite", c.nonfinite, "a step whose loss or gradients aren't finite: stop: ends the run; skip: changes no weights, and the run goes on",
    one_of({"stop", "skip"}));
  v("skips", c.skips, "skip so many steps in a row at most; the next one ends the run", at_least(1));
  v("spike_deviations", c.spike_deviations,
    "a step is a spike, which metrics.jsonl says, whose loss is above the median of the last 64 by so many robust deviations; 0 = none is", at_least(0));
  v("recheck", c.recheck, "compute a step whose loss is a spike or isn't finite twice before it counts; where the bits differ, the machine is at fault and the run ends");
}

struct StopConfig {
  int64_t patience = 0;
  std::string model = "plain";
};
template <class Visitor>
void visit(StopConfig& c, Visitor&& v) {
  v("patience", c.patience, "end the run when so many evaluations in a row have not lowered the loss; 0 = never", at_least(0));
  v("model", c.model, "whose loss that is: plain, or one of the averages as metrics.jsonl calls it, lawa(k=5,nu=200)");
}

struct RunConfig {
  std::string directory;
  double wall_seconds = 0, lock_seconds = 60;
};
template <class Visitor>
void visit(RunConfig& c, Visitor&& v) {
  v("directory", c.directory, "folder of config.toml, provenance.json, metrics.jsonl and checkpoints/", a_path());
  v("wall_seconds", c.wall_seconds,
    "the program's, as the job has them: it stops as if by a signal when another step and a save would not fit; 0 = no limit", at_least(0));
  v("lock_seconds", c.lock_seconds, "wait so long for another process that is still running in the folder; 0 = not at all", at_least(0));
}

struct TrainConfig {
  uint64_t seed = 1;
  std::string precision = "fp32", sharding = "optimizer";
  ModelConfig model;
  DataConfig data;
  BatchConfig batch;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  StartConfig start;
  EvaluateConfig evaluate;
  CheckpointConfig checkpoint;
  NumericsConfig numerics;
  StopConfig stop;
  RunConfig run;
  std::vector<OnlineAverageConfig> averages;
};
template <class Visitor>
void visit(TrainConfig& c, Visitor&& v) {
  v("seed", c.seed, "of the initial weights and the order of the data");
  v("precision", c.precision,
    "of weights and activations in the model; the weights that are updated, residuals, gradients of weights and all sums are float32",
    one_of({"fp32", "bf16"}));
  v("sharding", c.sharding,
    "what ranks share out. optimizer: the weights that are updated, and their moments; full: also those that the model computes with, and "
    "gradients, of which a rank then holds a few blocks' at a time: for models larger than a rank's memory", one_of({"optimizer", "full"}));
  v("model", c.model, "");
  v("data", c.data, "");
  v("batch", c.batch, "");
  v("optimizer", c.optimizer, "");
  v("schedule", c.schedule, "");
  v("start", c.start, "");
  v("evaluate", c.evaluate, "");
  v("checkpoint", c.checkpoint, "");
  v("numerics", c.numerics, "");
  v("stop", c.stop, "");
  v("run", c.run, "");
  v("averages", c.averages, "kept of each rank's own weights during the run, and evaluated beside them; as many as are wanted");
}
/// Errors: keys that don't fit together.
void check(const TrainConfig& config, const ConfigSource& source);

/// The precision that the config names.
inline Precision precision_of(const TrainConfig& config) { return config.precision == "bf16" ? Precision::bf16 : Precision::fp32; }

/// XXH3-128 of all keys.
std::string config_hash(const TrainConfig& config);
/// XXH3-128 of the keys and files that determine the weights: model, optimizer, schedule, global batch, seed, precision, and the
/// digests of the training tokens and of the file that the run starts from ("" for none).
std::string trajectory_hash(const TrainConfig& config, const std::string& tokens_digest, const std::string& start_digest);

}  // namespace lawa
