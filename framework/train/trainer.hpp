// The training step, and the state that it moves on: weights, moments, averages, step.
#pragma once
#include <filesystem>

#include "average/online.hpp"
#include "checkpoint/background_saves.hpp"
#include "comm/communicator.hpp"
#include "core/stop_request.hpp"
#include "data/token_file.hpp"
#include "evaluate/evaluator.hpp"
#include "evaluate/weight_store.hpp"
#include "model/language_model.hpp"
#include "train/gradient_store.hpp"
#include "train/nonfinite.hpp"
#include "train/spikes.hpp"
#include "train/token_count.hpp"
#include "train/train_config.hpp"

namespace lawa {

/// What a step reports. loss: of the batch that made the step, nats/token over all ranks. stop: why the run should end behind it, where
/// any rank has been asked to. saved: the least of what the ranks told the step. spike, nonfinite: what was suspect about it; rechecked: it was
/// computed twice, to the same bits; skipped: it has left weights and moments as they were.
struct StepResult {
  int64_t step = 0;
  double loss = 0, lr = 0, grad_norm = 0;
  StopReason stop = no_stop;
  int64_t saved = 0;
  std::optional<Spike> spike{};
  std::optional<Nonfinite> nonfinite{};
  bool rechecked = false, skipped = false;
};

/// The run has diverged: the loss or the gradients' norm of a step isn't finite, or what its update has made of weights and moments. On
/// every rank alike. `why` says what isn't finite, where it is neither of the first two.
struct Diverged : Error {
  explicit Diverged(const StepResult& made, const std::string& why = "");
  StepResult result;  ///< of the step
};

/// A step was computed twice, from the same weights and tokens, and the bits differ: a fault of a machine. On every rank alike.
struct MachineFault : Error {
  MachineFault(const StepResult& made, double second_loss, double second_norm, const std::string& where);
  StepResult first;                ///< of the step, as it was computed first
  double second_loss, second_norm;
  std::string where;               ///< "rank 3 (host n07)", or several
};

/// Steps that were skipped, as far as the run has come.
struct SkippedSteps {
  int64_t all = 0, in_a_row = 0;  ///< in_a_row: the newest ones

  void add(bool skipped) {
    all += skipped ? 1 : 0;
    in_a_row = skipped ? in_a_row + 1 : 0;
  }
};

class Trainer {
 public:
  /// Nothing is initialised yet: call start() or load(). Objects passed by reference must outlive it.
  Trainer(const TrainConfig& config, const Communicator& comm, const ParameterTable& table, const TokenSet& tokens,
          int64_t micro_sequences);
  Trainer(const Trainer&) = delete;  // the model fetches its weights here
  Trainer& operator=(const Trainer&) = delete;

  /// Step 0 with weights from the seed. Collective.
  void start();
  /// Weights from a weights file; with `state`, moments, averages and step from the state file beside it as well, else step 0 and
  /// zero moments. Collective. Returns which averages the state didn't know or held in vain (OnlineAverages::restore). Errors:
  /// read_shards'; a number that isn't finite (names the file and the tensor); check_weights'.
  Json load(const std::filesystem::path& weights, bool state);
  /// Whether all ranks have the weights of a digest, as checksums of blocks give it, of numbers that are stored in a format: the floats that are
  /// updated, and what the model has of them. Collective. Errors, of the system: they don't; names `path` and both digests.
  void check_weights(const std::string& path, const std::string& digest, NumberFormat format) const;

  /// compute(), and, where its loss is a spike or isn't finite, again: MachineFault where it isn't the same. Then AdamW on my range, all-gather,
  /// and the averages take what they need; what isn't finite is an error, or is skipped, as numerics.* says. Then weights and moments
  /// stay, and only the step's number, with the learning rate, goes on. Collective. `saved`: how far this rank's saves are
  /// (BackgroundSaves::mine). Errors: Diverged; MachineFault.
  StepResult train_step(int64_t saved = 0);

  /// What a step computes before it changes anything.
  struct Computed {
    double loss = 0, norm = 0;  ///< over all ranks
    double mine = 0;            ///< this rank's part of the loss
    StopReason stop = no_stop;
    int64_t saved = 0;
  };
  /// The next step's loss and gradients: accumulated, reduce-scattered. Collective.
  Computed compute(int64_t saved = 0);
  /// Computes the next step again. Collective. Errors: MachineFault, where it isn't what `first` was.
  void recheck(const Computed& first);
  /// The newest training losses before the next step, the oldest first: what spikes are judged by.
  void expect_losses_like(std::span<const double> losses) { spikes_.restart(losses); }
  /// Whether all weights and moments are finite: else no checkpoint is to be made of them. Collective.
  bool is_finite() const;
  /// Nothing where the present weights can be trained on: their loss and its gradients are finite, on the first sequences that each rank
  /// would read for the next step, or for one of the next few where such steps may be skipped. Collective.
  std::optional<Nonfinite> next_step_is_not_finite();
  /// The files of the present step's checkpoint; when the last one has its name, a record is written, with `open` in it.
  std::vector<FileToSave> checkpoint(const std::filesystem::path& folder, const FlatHeader& run, bool state, const OpenEnds& open,
                                     bool durably) const;

  int64_t step() const { return step_; }
  /// Training tokens that made the present weights.
  int64_t tokens() const { return tokens_until(step_); }
  /// Training tokens of the first `step` steps.
  int64_t tokens_until(int64_t step) const { return count_.until(step); }
  LanguageModel& model() { return model_; }
  /// Of what this rank owns, a local buffer.
  const Vector<float>& weights() const { return optimizer_.master(); }
  /// All ranks must call the model together, as they share out its weights.
  bool in_step() const { return windows_.shared(); }
  const OnlineAverages& averages() const { return averages_; }
  /// work() with average i in the model, blended with the present weights and without the excluded tensors as `model` says; then the
  /// run's own weights are there again, bit for bit. Collective.
  void with_average(size_t i, const AverageSpec& model, const std::function<void()>& work);
  /// The weights file of average i, and its record. `run`: as for checkpoint().
  FileToSave average_file(size_t i, const std::filesystem::path& folder, const FlatHeader& run, bool durably) const;
  const Exec& exec() const { return exec_; }
  const ShardLayout& layout() const { return layout_; }

 private:
  std::string where_copies_differ(const std::string& digest) const;
  FlatHeader header_of(const FlatHeader& run, int64_t step) const;
  void check_finite(const std::string& path, const std::vector<ShardArray>& arrays) const;
  Vector<float> average(size_t i) const;
  void keep_plain(const std::vector<std::string>& exclude, const Vector<float>& average) const;
  TokenBatch load_batch(const std::vector<int64_t>& micro_batch);
  double accumulate_gradients();
  std::optional<Nonfinite> find_nonfinite(double mine) const;
  std::optional<Nonfinite> step_is_not_finite(int64_t ahead);
  Vector<float> own_gradients() const;
  void update(double norm, double lr, int64_t n);
  bool in_place() const;

  const TrainConfig* config_;
  const Communicator* comm_;
  const ParameterTable* table_;
  const TokenSet* tokens_;
  Exec exec_;
  ShardLayout layout_;
  Windows windows_;
  LanguageModel model_;
  WeightStore store_;
  GradientStore gradients_;
  AdamW optimizer_;
  OnlineAverages averages_;
  BatchPlan plan_;
  TokenCount count_;
  BatchBuffer batch_;
  int64_t step_ = 0;
  SkippedSteps skipped_;
  SpikeWatch spikes_;
};

/// What batch.recompute says.
Purpose purpose_of(const TrainConfig& config);
/// Whether ranks share out weights and gradients, too: a rank that is alone has nobody to share them with.
bool shares_weights(const TrainConfig& config, int ranks);
/// Sequences of a micro-batch: what the config says, or as many as fit the memory budget and one rank's share.
int64_t micro_sequences(const TrainConfig& config, int ranks);

}  // namespace lawa
