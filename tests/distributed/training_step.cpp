// Twenty steps of the sharded Trainer on these ranks against PlainTraining, which knows no ranks.
#include <gtest/gtest.h>

#include "core/hash.hpp"
#include "ops/gemm.hpp"
#include "params/initial_weights.hpp"
#include "support/near.hpp"
#include "support/plain_training.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_models.hpp"
#include "support/random_tokens.hpp"

namespace lawa::test {
namespace {

constexpr int64_t steps = 20;

struct Shape {
  const char* name;
  int64_t layers, channels, global_sequences, micro_sequences;
  ModelConfig model = tiny_model();
};
void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }

TrainConfig config_of(const Shape& shape) {
  TrainConfig c;
  c.seed = 5;
  c.model = shape.model;
  c.model.layers = shape.layers;
  c.model.channels = shape.channels;
  c.model.bias = false;  // Adam turns the rounding noise in a key's bias, whose gradient is zero, into steps
  c.batch.global_sequences = shape.global_sequences;
  c.batch.micro_sequences = shape.micro_sequences;
  c.optimizer.clip_norm = 0.7;
  c.schedule = {.kind = "cosine", .steps = steps, .warmup_steps = 3, .decay_steps = 0, .peak_lr = 3e-3, .final_lr = 3e-4};
  return c;
}

std::vector<float> all_initial_weights(const ParameterTable& table, uint64_t seed) {
  std::vector<float> weights(static_cast<size_t>(table.size()));
  initial_weights(table, seed, {0, table.size()}, weights);
  return weights;
}

class TrainingStep : public testing::TestWithParam<Shape> {
 protected:
  const TemporaryDirectory directory_;
  const Communicator comm_ = Communicator::world();
  const TrainConfig config_ = config_of(GetParam());
  const TokenSet tokens_{{write_random_tokens(comm_, directory_ / "tokens.bin", 999, config_.model.vocabulary, 3)}, "data.train"};
  const ParameterTable table_ = model_parameters(config_.model);
  Trainer trainer_{config_, comm_, table_, tokens_, micro_sequences(config_, comm_.size())};

  std::vector<float> trainer_weights() { return values(slice(trainer_.model().float_weights(), {0, table_.size()})); }

  /// The whole batch that makes a step, as one rank would read it.
  TokenBatch whole_batch(int64_t step) {
    const int64_t B = config_.batch.global_sequences, T = config_.model.context;
    const auto batches = BatchPlan(config_.seed, B, B, tokens_.windows(T), 0, 1).micro_batches((step - 1) * B);
    std::vector<std::vector<TokenId>> windows;
    for (const int64_t window : batches.at(0)) windows.push_back(tokens_.window(window, T));
    return buffer_.load(windows);
  }

 private:
  BatchBuffer buffer_{config_.batch.global_sequences, config_.model.context};
};

TEST_P(TrainingStep, BeginsWithTheWeightsOfTheSeed) {
  trainer_.start();
  EXPECT_TRUE(same_bits(trainer_weights(), all_initial_weights(table_, config_.seed)));
}

TEST_P(TrainingStep, RanksReadTogetherWhatOneWouldRead) {
  const auto plan = [&](int64_t rank, int64_t ranks) {
    return BatchPlan(config_.seed, config_.batch.global_sequences, config_.batch.micro_sequences,
                     tokens_.windows(config_.model.context), static_cast<int>(rank), static_cast<int>(ranks));
  };
  const auto sequences = [&](std::vector<int64_t>& all, const BatchPlan& of, int64_t step) {
    const int64_t before = (step - 1) * config_.batch.global_sequences;
    for (const auto& micro_batch : of.micro_batches(before)) all.insert(all.end(), micro_batch.begin(), micro_batch.end());
  };
  for (int64_t step = 1; step <= steps; ++step) {
    std::vector<int64_t> together, alone;
    for (int64_t rank = 0; rank < comm_.size(); ++rank) sequences(together, plan(rank, comm_.size()), step);
    sequences(alone, plan(0, 1), step);
    EXPECT_EQ(together, alone) << "step " << step;
  }
}

TEST_P(TrainingStep, AgreesWithTrainingWithoutRanks) {
  PlainTraining plain(config_, config_.batch.global_sequences, all_initial_weights(table_, config_.seed));
  trainer_.start();
  double largest_norm = 0;
  for (int64_t step = 1; step <= steps; ++step) {
    const StepResult ours = trainer_.train_step(), theirs = plain.step(whole_batch(step));
    EXPECT_EQ(ours.step, step);
    EXPECT_TRUE(near(std::vector{ours.loss}, std::vector{theirs.loss}, 1e-6)) << "loss of step " << step;
    EXPECT_TRUE(near(std::vector{ours.grad_norm}, std::vector{theirs.grad_norm}, 5e-6)) << "norm of step " << step;
    EXPECT_EQ(ours.lr, learning_rate(config_.schedule, step));
    largest_norm = std::max(largest_norm, theirs.grad_norm);
  }
  EXPECT_GT(largest_norm, config_.optimizer.clip_norm) << "nothing was clipped";
  EXPECT_TRUE(near(trainer_weights(), plain.weights(), 5e-6));
}

TEST_P(TrainingStep, LeavesTheSameWeightsOnAllRanks) {
  trainer_.start();
  for (int64_t step = 1; step <= 5; ++step) trainer_.train_step();
  const std::vector<float> weights = trainer_weights();
  Digest digest;
  digest.add(std::as_bytes(std::span(weights)));
  for (const std::string& other : comm_.gather(digest.hex())) EXPECT_EQ(other, digest.hex());
}

TEST_P(TrainingStep, RepeatsBitForBit) {
  std::vector<double> first, second;
  for (std::vector<double>* losses : {&first, &second}) {
    Trainer trainer(config_, comm_, table_, tokens_, micro_sequences(config_, comm_.size()));
    trainer.start();
    for (int64_t step = 1; step <= steps; ++step) losses->push_back(trainer.train_step().loss);
  }
  EXPECT_TRUE(same_bits(first, second));
}

/// Losses, norms and this rank's weights after some steps.
struct Outcome {
  std::vector<double> losses, norms;
  std::vector<float> weights;
};
Outcome outcome_of(const TrainConfig& config, const Communicator& comm, const ParameterTable& table, const TokenSet& tokens) {
  Trainer trainer(config, comm, table, tokens, micro_sequences(config, comm.size()));
  Outcome outcome;
  trainer.start();
  for (int64_t step = 1; step <= steps; ++step) {
    const StepResult result = trainer.train_step();
    outcome.losses.push_back(result.loss);
    outcome.norms.push_back(result.grad_norm);
  }
  EXPECT_FALSE(trainer.next_step_is_not_finite().has_value());
  outcome.weights = values(trainer.weights());
  return outcome;
}

TEST_P(TrainingStep, IsTheSameWhereRanksShareWeightsAndGradients) {
  TrainConfig config = config_;
  for (const char* precision : {"fp32", "bf16"}) {
    config.precision = precision;
    if (!multiplies_in(precision_of(config))) continue;
    config.sharding = "optimizer";
    const Outcome whole = outcome_of(config, comm_, table_, tokens_);
    config.sharding = "full";
    const Outcome shared = outcome_of(config, comm_, table_, tokens_);
    const int64_t share = (config.batch.global_sequences + comm_.size() - 1) / comm_.size();
    if (share <= config.batch.micro_sequences) {  // one micro-batch: no sum in another order
      EXPECT_TRUE(same_bits(shared.losses, whole.losses));
      EXPECT_TRUE(same_bits(shared.norms, whole.norms));
      EXPECT_TRUE(same_bits(shared.weights, whole.weights));
    } else {
      EXPECT_TRUE(near(shared.losses, whole.losses, precision_of(config) == Precision::fp32 ? 1e-6 : 1e-3));
      EXPECT_TRUE(near(shared.norms, whole.norms, precision_of(config) == Precision::fp32 ? 1e-5 : 1e-2));
    }
  }
}

// 3 layers of 36 channels are 49 896 weights in several buckets; one layer of 18 is less than 2 * 4096, so that of 3 ranks the
// last owns nothing.
INSTANTIATE_TEST_SUITE_P(Shapes, TrainingStep,
                         testing::Values(Shape{"SeveralBuckets", 3, 36, 6, 2}, Shape{"RaggedBatchesAndMicroBatches", 3, 36, 7, 2},
                                         Shape{"FewerSequencesThanRanks", 2, 18, 2, 1}, Shape{"OneSequence", 2, 18, 1, 1},
                                         Shape{"RankWithoutWeights", 1, 18, 5, 3}, Shape{"ManyBlocks", 6, 36, 6, 6}, Shape{"GptNeoX", 2, 36, 5, 2, tiny_gpt_neox()}),
                         [](const auto& test) { return test.param.name; });

TEST(TrainingShapes, AreWhatTheyAreCalled) {
  const auto layout = [](const Shape& shape, int rank, int ranks) {
    const ParameterTable table = model_parameters(config_of(shape).model);
    return ShardLayout(table.size(), rank, ranks, table.group_ends());
  };
  EXPECT_GE(layout({"", 3, 36, 0, 0}, 0, 3).buckets(), 3);
  EXPECT_NE(layout({"", 3, 36, 0, 0}, 0, 3).size(), layout({"", 3, 36, 0, 0}, 0, 3).padded_size());
  EXPECT_EQ(layout({"", 1, 18, 0, 0}, 2, 3).mine_size(), 0);
}

}  // namespace
}  // namespace lawa::test
