// The training step without ranks: full gradients of the whole batch and one AdamW over all weights. tests/parity holds it
// against PyTorch, and tests/distributed holds the sharded Trainer against it.
#pragma once
#include <algorithm>
#include <cmath>

#include "support/fixtures.hpp"
#include "train/trainer.hpp"

namespace lawa::test {

class PlainTraining {
 public:
  /// Batches of up to `sequences` sequences; `weights` has P elements.
  PlainTraining(const TrainConfig& config, int64_t sequences, const std::vector<float>& weights)
      : config_(config),
        table_(model_parameters(config.model, config.optimizer.decay_embeddings)),
        layout_(table_.size(), 0, 1),
        model_(config.model, sequences, layout_.padded_size(), Purpose::training),
        optimizer_(config.optimizer, table_, layout_, zeros<float>("test::master", layout_.local_size())) {
    std::vector<float> padded(static_cast<size_t>(layout_.padded_size()));
    std::ranges::copy(weights, padded.begin());
    set(optimizer_.master(), padded);
  }

  StepResult step(const TokenBatch& batch) {
    const double scale = 1.0 / static_cast<double>(batch.inputs.size());
    copy(model_.weights(), optimizer_.master());
    fill(exec_, model_.gradients(), 0.0f);
    const double loss = model_.forward_backward(exec_, batch, scale) * scale;
    const double norm = std::sqrt(squared_norm(exec_, model_.gradients()));
    const double lr = learning_rate(config_.schedule, ++step_);
    optimizer_.update(exec_, model_.gradients(), lr, clip_factor(norm, config_.optimizer.clip_norm), step_);
    return {step_, loss, lr, norm};
  }

  const ParameterTable& table() const { return table_; }
  std::vector<float> weights() const { return values(slice(optimizer_.master(), {0, table_.size()})); }

 private:
  TrainConfig config_;
  ParameterTable table_;
  ShardLayout layout_;
  Exec exec_;
  Transformer<float> model_;
  AdamW optimizer_;
  int64_t step_ = 0;
};

}  // namespace lawa::test
