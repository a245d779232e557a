// Runs that begin with what another run has made: a branch, or new runs from its weights. And what each run keeps as it goes.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "checkpoint/commit_record.hpp"
#include "restart/finished_run.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"
#include "support/tiny_files.hpp"
#include "train/trainer.hpp"

namespace lawa::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// The config of a second run on the finished one's tokens.
class Start : public FinishedRun {
 protected:
  const fs::path tenth_ = weights_path(checkpoints_of(finished_), 10);

  TrainConfig second() const {
    TrainConfig config = finished_;
    config.run.directory = (directory_ / "second").string();
    return config;
  }
};

/// The last elements of a list.
std::vector<double> last(const std::vector<double>& list, size_t count) {
  return {list.end() - static_cast<int64_t>(std::min(count, list.size())), list.end()};
}

TEST_F(Start, ABranchGoesOnWhereItsCheckpointIs) {
  TrainConfig branch = second();
  branch.start.checkpoint = tenth_.string();
  run(comm_, branch);
  EXPECT_EQ(metrics(branch, "train").size(), 10u);
  for (const char* number : {"step", "loss", "lr", "grad_norm", "trained_tokens"})
    EXPECT_TRUE(same_bits(metrics(branch, "train", number), last(metrics(finished_, "train", number), 10))) << number;
  EXPECT_EQ(weights_digest(branch, 20), weights_digest(finished_, 20));
}

TEST_F(Start, ABranchHasAWayOfItsOwn) {
  TrainConfig branch = second();
  branch.start.checkpoint = tenth_.string();
  branch.schedule.final_lr = 0;
  run(comm_, branch);
  EXPECT_EQ(metrics(branch, "train", "loss").front(), metrics(finished_, "train", "loss").at(10));
  EXPECT_NE(weights_digest(branch, 20), weights_digest(finished_, 20));
}

/// Sequences are counted, not steps: no position is read twice, and none is left out.
TEST_F(Start, ABranchWithAnotherBatchReadsOnWhereItsParentStopped) {
  const auto B = finished_.batch.global_sequences, T = finished_.model.context;
  TrainConfig branch = second();
  branch.start.checkpoint = tenth_.string();
  branch.batch.global_sequences = 2 * B;
  branch.batch.micro_sequences = 0;
  branch.schedule.steps = 15;
  run(comm_, branch);
  std::vector<double> tokens;
  for (int64_t step = 11; step <= 15; ++step) tokens.push_back(static_cast<double>((10 * B + (step - 10) * 2 * B) * T));
  EXPECT_EQ(metrics(branch, "train", "trained_tokens"), tokens);
  const FlatHeader header = read_flat_header(weights_path(checkpoints_of(branch), 15));
  EXPECT_EQ(header.trained_tokens, static_cast<int64_t>(tokens.back()));
  EXPECT_EQ(header.provenance.at("batch_changes"), Json::parse(concat("[[10,", 10 * B * T, "]]")));

  // Two steps of the parent read what the branch's first does: with a rate of 0 the same weights make the mean of their losses.
  TrainConfig still = branch, parent = finished_;
  for (TrainConfig* config : {&still, &parent}) {
    config->schedule.peak_lr = config->schedule.final_lr = 0;
    config->schedule.steps = 12;
    config->schedule.warmup_steps = config->schedule.decay_steps = 0;
    config->start.checkpoint = tenth_.string();
  }
  still.run.directory = (directory_ / "still").string();
  parent.run.directory = (directory_ / "parent").string();
  run(comm_, still);
  run(comm_, parent);
  const auto losses = metrics(parent, "train", "loss");
  EXPECT_NEAR(metrics(still, "train", "loss").front(), (losses.at(0) + losses.at(1)) / 2, 1e-5);

  cut_back(comm_, branch, 15);  // a resume counts on, and so does a branch of the branch
  TrainConfig third = finished_;
  third.run.directory = (directory_ / "third").string();
  third.start.checkpoint = weights_path(checkpoints_of(branch), 15).string();
  third.schedule.steps = 16;
  run(comm_, third);
  EXPECT_EQ(metrics(third, "train", "trained_tokens").front(), tokens.back() + static_cast<double>(B * T));
}

TEST_F(Start, ABranchThatHasNoStepsIsRefused) {
  TrainConfig branch = second();
  branch.start.checkpoint = tenth_.string();
  branch.schedule.warmup_steps = branch.schedule.decay_steps = 0;
  for (const int64_t steps : {9, 10}) {
    branch.schedule.steps = steps;
    EXPECT_EQ(error_of([&] { run(comm_, branch); }),
              concat("schedule.steps: ", steps, " must be more than the step of start.checkpoint, which is 10"));
    EXPECT_FALSE(fs::exists(branch.run.directory));
  }
}

TEST_F(Start, ABranchDoesWithoutItsParentOnceItHasBegun) {
  const TrainConfig parent = copy();
  TrainConfig branch = second();
  branch.start.checkpoint = weights_path(checkpoints_of(parent), 10).string();
  run(comm_, branch);
  const std::string digest = weights_digest(branch, 20);
  comm_.on_root([&] { fs::remove_all(parent.run.directory); });
  run(comm_, branch);  // it is complete
  cut_back(comm_, branch, 15);
  run(comm_, branch);
  EXPECT_THAT(metrics(branch, "resume", "step"), ElementsAre(15));
  EXPECT_EQ(weights_digest(branch, 20), digest);
  TrainConfig another = branch;
  another.run.directory = (directory_ / "another").string();
  EXPECT_THAT(error_of([&] { run(comm_, another); }), AllOf(HasSubstr(branch.start.checkpoint), HasSubstr("doesn't exist")));
}

TEST_F(Start, ABranchThatWasStoppedGoesOnFromItsOwnCheckpoint) {
  TrainConfig branch = second();
  branch.start.checkpoint = tenth_.string();
  run(comm_, branch);
  const std::string digest = weights_digest(branch, 20);
  cut_back(comm_, branch, 15);
  run(comm_, branch);
  EXPECT_THAT(metrics(branch, "resume", "step"), ElementsAre(15));
  EXPECT_EQ(metrics(branch, "train").size(), 10u);
  EXPECT_EQ(weights_digest(branch, 20), digest);
}

TEST_F(Start, ABranchNeedsTheStateBesideItsWeights) {
  const fs::path folder = checkpoints_of(copy());
  comm_.on_root([&] { fs::remove(state_path(folder, 10)); });
  TrainConfig branch = second();
  branch.start.checkpoint = weights_path(folder, 10).string();
  EXPECT_THAT(error_of([&] { run(comm_, branch); }), AllOf(HasSubstr("step_00000010.state.h5"), HasSubstr("step 10 has weights only")));
}

TEST_F(Start, WeightsAloneBeginANewRun) {
  const ParameterTable table = model_parameters(finished_.model);
  const TokenSet tokens(finished_.data.train, "data.train");
  Trainer trainer(finished_, comm_, table, tokens, micro_sequences(finished_, comm_.size()));
  trainer.load(tenth_, false);
  const std::vector<float> stored = read_array(tenth_);
  EXPECT_EQ(trainer.step(), 0);
  EXPECT_TRUE(same_bits(values(slice(trainer.model().float_weights(), {0, table.size()})), stored));

  TrainConfig config = second();
  config.start.weights = tenth_.string();
  run(comm_, config);
  EXPECT_EQ(metrics(config, "train").size(), 20u);
  EXPECT_TRUE(same_bits(metrics(config, "train", "lr"), metrics(finished_, "train", "lr")));
  EXPECT_EQ(metrics(config, "train", "loss").front(), trainer.train_step().loss);
}

TEST_F(Start, WeightsThatAreNotFiniteAreNamed) {
  FlatHeader header = read_flat_header(tenth_);
  const Parameter& tensor = header.table.parameters()[3];
  for (const float wrong : {not_a_number, std::numeric_limits<float>::infinity()}) {
    std::vector<float> values = read_array(tenth_);
    values[static_cast<size_t>(tensor.range().begin + 5)] = wrong;
    header.step = std::isnan(wrong) ? 30 : 31;
    comm_.on_root([&] { fs::create_directories(directory_ / "broken"); });
    TrainConfig config = second();
    config.start.weights = write_checkpoint(comm_, directory_ / "broken", header, values).string();
    EXPECT_EQ(error_of([&] { run(comm_, config); }),
              concat(config.start.weights, ": weights: element 5 of ", tensor.name, " isn't finite: a run can't begin from it"));
  }
}

TEST_F(Start, WeightsOfAnotherModelAreRefused) {
  TrainConfig config = second();
  config.start.weights = tenth_.string();
  config.model.channels *= 2;
  EXPECT_THAT(error_of([&] { run(comm_, config); }),
              AllOf(HasSubstr(tenth_.string()), HasSubstr("another model: tensor wte.weight")));
}

TEST_F(Start, OnlyTheNewestStatesAreKept) {
  TrainConfig config = second();
  config.checkpoint.keep_states = 2;
  run(comm_, config);
  const fs::path folder = checkpoints_of(config);
  for (const int64_t step : recorded_steps(folder)) {
    EXPECT_TRUE(fs::exists(weights_path(folder, step))) << step;
    EXPECT_EQ(fs::exists(state_path(folder, step)), step >= 15) << step;
    EXPECT_EQ(read_record(record_path(folder, step)).state.has_value(), step >= 15) << step;
  }
  EXPECT_THAT(recorded_steps(folder), ElementsAre(5, 10, 15, 20));
}

TEST_F(Start, StatesAreAsSparseAsAskedForAndTheLastStepIsAlwaysKept) {
  TrainConfig config = second();
  config.checkpoint = {.steps = 8, .state_steps = 0, .keep_states = 2, .fsync = false};
  run(comm_, config);
  const fs::path folder = checkpoints_of(config);
  EXPECT_THAT(recorded_steps(folder), ElementsAre(8, 16, 20));
  for (const int64_t step : recorded_steps(folder)) EXPECT_EQ(fs::exists(state_path(folder, step)), step == 20) << step;
  EXPECT_EQ(weights_digest(config, 20), weights_digest(finished_, 20));
}

TEST_F(Start, ADivergingRunEndsWithTheStepInItsMessage) {
  TrainConfig config = second();
  config.schedule.warmup_steps = 0;
  config.schedule.peak_lr = 1e30;  // squared, in LayerNorm's variance, it is beyond float32
  config.optimizer.clip_norm = 0;
  EXPECT_THAT(error_of([&] { run(comm_, config); }),
              AllOf(HasSubstr("step 2: the run has diverged"), HasSubstr("schedule.peak_lr")));
  EXPECT_THAT(metrics(config, "train", "step"), ElementsAre(1));
  EXPECT_THAT(recorded_steps(checkpoints_of(config)), testing::IsEmpty());
  const auto outcome = metrics(config, "outcome");
  ASSERT_EQ(outcome.size(), 1u);
  Json line = outcome[0];
  for (const char* key : {"rank", "host", "tensor"}) EXPECT_EQ(line.erase(key), 1u) << key;
  EXPECT_EQ(line.dump(), R"({"kind":"outcome","outcome":"diverged","step":2,"loss":null,"grad_norm":null,"recheck":"same"})");
}

TEST_F(Start, ALongStartMeasuresMatrixProductsAtItsEndAndAShortOneNever) {
  EXPECT_FALSE(metrics(finished_, "summary").at(0).contains("gemm_share"));
  TrainConfig config = second();
  config.schedule.steps = 3;
  run(comm_, config, 0);
  const Json summary = metrics(config, "summary").at(0);
  const double measured = summary.at("gemm_flops_per_second");
  EXPECT_GT(measured, 0);
  EXPECT_DOUBLE_EQ(summary.at("gemm_share"), summary.at("tokens_per_second").get<double>() * flops_per_token(config.model) / measured);
}

}  // namespace
}  // namespace lawa::test
