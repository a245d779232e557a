// The plan's arithmetic, beside what can be counted by hand.
#include "train/run_plan.hpp"

#include <gtest/gtest.h>

#include "model/model_tensors.hpp"

namespace lawa {
namespace {

/// 100 steps, weights every 10, states every 25.
TrainConfig hundred_steps() {
  TrainConfig config;
  config.model = {.layers = 2, .heads = 2, .channels = 64, .context = 32, .vocabulary = 256};
  config.schedule.steps = 100;
  config.checkpoint = {.steps = 10, .state_steps = 25, .keep_states = 2};
  config.evaluate.steps = 20;
  return config;
}

double megabytes(int64_t bytes) { return 1e-6 * static_cast<double>(bytes); }

TEST(RunOutput, CountsWeightsAndStates) {
  const RunOutput out = run_output(hundred_steps());
  EXPECT_EQ(out.states, 4);        // 25, 50, 75, 100
  EXPECT_EQ(out.checkpoints, 12);  // every 10, and 25 and 75
  EXPECT_EQ(out.most_states, 3) << "two that are kept, one that is written";
  EXPECT_EQ(out.evaluations, 5);
  EXPECT_EQ(out.disk_bytes, 12 * out.weights_bytes + 3 * out.state_bytes);
  EXPECT_EQ(out.written_bytes, 12 * out.weights_bytes + 4 * out.state_bytes);
  const auto parameters = static_cast<double>(model_parameters(hundred_steps().model).size());
  EXPECT_NEAR(static_cast<double>(out.weights_bytes), 4 * parameters, 30e3);
  EXPECT_NEAR(static_cast<double>(out.state_bytes), 8 * parameters, 30e3);
}

TEST(RunOutput, CountsWhatStaysAtATime) {
  TrainConfig config = hundred_steps();
  config.checkpoint.keep_weights = 3;
  const RunOutput out = run_output(config);
  EXPECT_EQ(out.checkpoints, 12);
  EXPECT_EQ(out.most_weights, 5) << "at 100: 25 went with its state, 50 and 75 have theirs, 80 and 90 are the newest, 100 is written";
  EXPECT_EQ(out.disk_bytes, 5 * out.weights_bytes + 3 * out.state_bytes);
  EXPECT_EQ(out.written_bytes, run_output(hundred_steps()).written_bytes);
  config.checkpoint.keep_weights_steps = 20;
  EXPECT_EQ(run_output(config).most_weights, 8) << "besides, 20, 40 and 60";
  config.checkpoint.keep_weights = 20;
  EXPECT_EQ(run_output(config).most_weights, 12);
}

TEST(RunOutput, OfEndsAndBeginnings) {
  TrainConfig config = hundred_steps();
  EXPECT_EQ(run_output(config, 75).checkpoints, 3) << "80, 90, 100";
  EXPECT_EQ(run_output(config, 75).most_states, 1);
  config.checkpoint = {.steps = 0, .state_steps = 0};
  config.evaluate.steps = 0;
  const RunOutput end = run_output(config);
  EXPECT_EQ(end.checkpoints, 1);
  EXPECT_EQ(end.evaluations, 0);
  EXPECT_EQ(end.disk_bytes, end.weights_bytes + end.state_bytes);
}

TEST(RunOutput, CountsAveragesAndWhatTheyHold) {
  TrainConfig config = hundred_steps();
  config.averages = {{.window = 3, .stride = 10, .save = true}, {.window = 2, .stride = 20}, {.scheme = "ema"}};
  const RunOutput out = run_output(config), plain = run_output(hundred_steps());
  EXPECT_EQ(out.averages, 8) << "30, 40, …, 100; at 75 there is nothing newer than 70's";
  // Evaluated at 20, 40, …, 100: plain, the EMA; lawa(3,10) from 40 on, lawa(2,20) from 40 on.
  EXPECT_EQ(out.evaluations, 5 + 5 + 4 + 4);
  EXPECT_EQ(out.most_snapshots, 5) << "at step 100, before others go: 60, 70, 80, 90, 100";
  const double snapshot = 4 * static_cast<double>(model_parameters(config.model).size());
  EXPECT_NEAR(static_cast<double>(out.state_bytes - plain.state_bytes), (2 + 4) * snapshot, 0.05 * snapshot)
      << "at step 75 the EMA's float64, and the weights of 40, 50, 60, 70";
}

TEST(RunOutput, AnAverageThatHoldsThePresentWeightsIsDueAtItsSnapshotsAlone) {
  TrainConfig config = hundred_steps();
  config.averages = {{.window = 2, .stride = 30, .blend = {0.5, 1}}};
  EXPECT_EQ(run_output(config).evaluations, 5 + 1 + 2) << "blended: at 60 alone; the average itself: at 60 and 100, and at 80 it isn't new";
  config.averages[0].blend = {1};
  EXPECT_EQ(run_output(config).evaluations, 5 + 2);
}

TEST(RankMemory, IsSharedOutButForWhatEachRankComputesWith) {
  const TrainConfig config = hundred_steps();
  const RankMemory one = rank_memory(config, 1, 0), four = rank_memory(config, 4, 0);
  EXPECT_EQ(one.optimizer, 2 * one.weights) << "the moments: a rank that is alone updates its weights in place";
  EXPECT_NEAR(megabytes(four.optimizer), megabytes(4 * one.weights / 4), 0.1) << "moments, weights and gradients, of a quarter";
  EXPECT_EQ(one.averages + one.snapshots, 0);
  EXPECT_EQ(one.saves, 3 * one.weights) << "a copy of weights and moments";
  TrainConfig half = config;
  half.precision = "bf16";
  EXPECT_EQ(rank_memory(half, 1, 0).weights, one.weights / 2);
  EXPECT_EQ(rank_memory(half, 1, 0).optimizer, 3 * one.weights) << "float32 weights, too";
  half.averages = {{.window = 3}, {.scheme = "swa"}};
  EXPECT_EQ(rank_memory(half, 1, 4).snapshots, 4 * one.weights);
  EXPECT_EQ(rank_memory(half, 1, 4).averages, 3 * one.weights) << "a float64 sum, and one average while it is evaluated";
  EXPECT_EQ(rank_memory(half, 1, 4).saves, 5 * one.weights) << "the float64 sum, too; snapshots don't change";
  half.checkpoint.steps = 1;
  EXPECT_EQ(rank_memory(half, 1, 4).saves, 10 * one.weights) << "the next one begins before this one is done";
  half.checkpoint.asynchronous = false;
  EXPECT_EQ(rank_memory(half, 1, 4).saves, 0);
}

TEST(SplitEfficiency, IsTheShareOfTheRanksTime) {
  EXPECT_EQ(split_efficiency(384, 128), 1);
  EXPECT_EQ(split_efficiency(384, 100), 384.0 / 400);
  EXPECT_EQ(split_efficiency(2, 4), 0.5);
  EXPECT_EQ(split_efficiency(5, 1), 1);
}

TEST(MeasuredShare, IsThatOfTheNearestModelThatIsNotLarger) {
  EXPECT_STREQ(measured_share(774'000'000).model, "small");
  EXPECT_STREQ(measured_share(124'373'760).model, "small");
  EXPECT_STREQ(measured_share(100'000'000).model, "l6_c384");
  EXPECT_STREQ(measured_share(1000).model, "quickstart");
}

}  // namespace
}  // namespace lawa
