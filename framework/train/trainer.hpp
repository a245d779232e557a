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
#include "train/token_count.hpp"
#include "train/train_config.hpp"

namespace lawa {

/// What a step reports. loss: of the batch that made the step, nats/token over all ranks. stop: why the run should end behind it, where
/// any rank has been asked to. saved: the least of what the ranks told the step.
struct StepResult {
  int64_t step = 0;
  double loss = 0, lr = 0, grad_norm = 0;
  StopReason stop = no_stop;
  int64_t saved = 0;
};

/// The run has diverged: the loss or the gradients' norm of a step isn't finite, or what its update has made of weights and moments. On
/// every rank alike. `why` says what isn't finite, where it is neither of the first two.
struct Diverged : Error {
  explicit Diverged(const StepResult& made, const std::string& why = "");
  StepResult result;  ///< of the step
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
  /// read_shards'; a number that isn't finite (names the file and the tensor).
  Json load(const std::filesystem::path& weights, bool state);

  /// Accumulate gradients, reduce-scatter, norm, AdamW on my range, all-gather; the averages take what they need. Collective.
  /// `saved`: how far this rank's saves are (BackgroundSaves::mine). Errors: Diverged.
  StepResult train_step(int64_t saved = 0);
  /// Whether all weights and moments are finite: else no checkpoint is to be made of them. Collective.
  bool is_finite() const;
  /// Whether the present weights can be trained on: their loss and its gradients are finite, on the first sequences that each rank would
  /// read for the next step. Collective.
  bool next_step_is_finite();
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
  FlatHeader header_of(const FlatHeader& run, int64_t step) const;
  void check_finite(const std::string& path, const std::vector<ShardArray>& arrays) const;
  Vector<float> average(size_t i) const;
  void keep_plain(const std::vector<std::string>& exclude, const Vector<float>& average) const;
  TokenBatch load_batch(const std::vector<int64_t>& micro_batch);
  double accumulate_gradients();
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
};

/// What batch.recompute says.
Purpose purpose_of(const TrainConfig& config);
/// Whether ranks share out weights and gradients, too: a rank that is alone has nobody to share them with.
bool shares_weights(const TrainConfig& config, int ranks);
/// Sequences of a micro-batch: what the config says, or as many as fit the memory budget and one rank's share.
int64_t micro_sequences(const TrainConfig& config, int ranks);

}  // namespace lawa
