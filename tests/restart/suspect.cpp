// What a trainer does with weights and steps that can't be right: it compares, computes again, skips.
#include <gmock/gmock.h>

#include <limits>

#include "checkpoint/commit_record.hpp"
#include "restart/finished_run.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"
#include "train/trainer.hpp"

namespace lawa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

class Suspect : public FinishedRun {
 protected:
  Suspect() { config_.averages.clear(); }

  Trainer& trainer() {
    if (!trainer_) trainer_.emplace(config_, comm_, table_, tokens_, micro_sequences(config_, comm_.size()));
    return *trainer_;
  }
  /// Of the last rank only where there are several: where the model holds a copy, and others hold theirs.
  bool mine() const { return comm_.rank() == comm_.size() - 1; }
  float weight(int64_t i) { return values(slice(trainer().model().float_weights(), {i, i + 1}))[0]; }
  void set_weight(int64_t i, double value) { fill(trainer().exec(), slice(trainer().model().float_weights(), {i, i + 1}), static_cast<float>(value)); }
  std::vector<float> weights() { return values(slice(trainer().model().float_weights(), {0, table_.size()})); }
  std::string path(int64_t step) const { return weights_path(checkpoints_of(finished_), step).string(); }
  int64_t last() const { return table_.size() - 1; }

  TrainConfig config_ = finished_;
  const ParameterTable table_ = model_parameters(config_.model);
  const TokenSet tokens_{config_.data.train, "data.train"};

 private:
  std::optional<Trainer> trainer_;
};

// ---- weights in memory -----------------------------------------------------------------------------------------------------

TEST_F(Suspect, WeightsThatAreNotTheFilesAreNoticed) {
  for (const int64_t i : {int64_t{0}, int64_t{4096}, last()}) {
    trainer().load(path(10), true);
    const float before = weight(i);
    if (mine()) set_weight(i, std::nextafter(before, 10.0f));  // its last bit
    EXPECT_THAT(error_of([&] { trainer().check_weights(path(10), weights_digest(finished_, 10), NumberFormat::float32); }),
                AllOf(HasSubstr(path(10)), HasSubstr("the weights in memory aren't what was read")))
        << i;
    if (mine()) set_weight(i, before);
    trainer().check_weights(path(10), weights_digest(finished_, 10), NumberFormat::float32);
  }
}

TEST_F(Suspect, WeightsOfAnotherStepAreNoticed) {
  trainer().load(path(10), true);
  EXPECT_THAT(error_of([&] { trainer().check_weights(path(15), weights_digest(finished_, 15), NumberFormat::float32); }),
              AllOf(HasSubstr(weights_digest(finished_, 10)), HasSubstr(weights_digest(finished_, 15))));
}

// ---- computing again ---------------------------------------------------------------------------------------------------------

TEST_F(Suspect, AStepThatIsComputedTwiceIsTheSame) {
  trainer().load(path(10), true);
  const auto first = trainer().compute();
  trainer().recheck(first);
  EXPECT_TRUE(same_bits(std::vector{trainer().train_step().loss}, std::vector{metrics(finished_, "train", "loss").at(10)}));
}

TEST_F(Suspect, ABitThatHasChangedBetweenIsAFaultOfThatRank) {
  trainer().load(path(10), true);
  const auto first = trainer().compute();
  if (mine()) set_weight(last(), 2 * weight(last()) + 1);
  try {
    trainer().recheck(first);
    FAIL() << "nothing was noticed";
  } catch (const MachineFault& fault) {
    EXPECT_EQ(fault.exit_code, exit_error);
    EXPECT_EQ(fault.first.step, 11);
    EXPECT_EQ(fault.first.loss, first.loss);
    EXPECT_NE(fault.second_loss, first.loss);
    EXPECT_THAT(fault.where, AllOf(HasSubstr(concat("rank ", comm_.size() - 1, " (host ")), testing::Not(HasSubstr(","))));
    EXPECT_THAT(fault.what(), AllOf(HasSubstr("step 11: computed twice"), HasSubstr(concat(first.loss)), HasSubstr(concat(fault.second_loss))));
  }
}

TEST_F(Suspect, ASpikeIsComputedAgainAndSaid) {
  config_.schedule.steps = 60;
  trainer().load(path(20), true);
  trainer().expect_losses_like(std::vector<double>(40, 1.0));  // what comes is far above
  const StepResult step = trainer().train_step();
  ASSERT_TRUE(step.spike);
  EXPECT_EQ(step.spike->expected, 1.0);
  EXPECT_TRUE(step.rechecked);
  config_.numerics.recheck = false;
  EXPECT_FALSE(trainer().train_step().rechecked);
}

// ---- what isn't finite -------------------------------------------------------------------------------------------------------

TEST_F(Suspect, WhatIsNotFiniteIsNamed) {
  trainer().load(path(10), true);
  const Parameter& tensor = table_.parameters().back();
  if (mine()) set_weight(tensor.offset, nan);
  try {
    trainer().train_step();
    FAIL() << "nothing was noticed";
  } catch (const Diverged& diverged) {
    ASSERT_TRUE(diverged.result.nonfinite);
    EXPECT_EQ(diverged.result.nonfinite->rank, comm_.size() - 1);
    EXPECT_EQ(diverged.result.nonfinite->tensor, table_.parameters()[0].name) << "all gradients, this one before the others";
    EXPECT_THAT(diverged.what(), AllOf(HasSubstr("step 11: the run has diverged"), HasSubstr("the gradient of " + table_.parameters()[0].name),
                                       HasSubstr(concat("rank ", comm_.size() - 1)), HasSubstr("computed twice, to the same bits")));
  }
}

TEST_F(Suspect, ASkippedStepLeavesEverythingButItsNumber) {
  config_.numerics = {.nonfinite = "skip", .skips = 2};
  trainer().load(path(10), true);
  const std::vector<float> before = weights();
  for (int64_t n = 1; n <= 2; ++n) {
    set_weight(0, nan);
    const StepResult step = trainer().train_step();
    set_weight(0, before[0]);
    EXPECT_TRUE(step.skipped);
    EXPECT_EQ(step.step, 10 + n);
    EXPECT_EQ(step.lr, learning_rate(config_.schedule, 10 + n));
    EXPECT_EQ(trainer().step(), 10 + n);
    EXPECT_TRUE(same_bits(weights(), before));
  }
  set_weight(0, nan);
  EXPECT_THAT(error_of([&] { trainer().train_step(); }), AllOf(HasSubstr("step 13: the run has diverged"), HasSubstr("2 skipped steps in a row")));
  set_weight(0, before[0]);
  EXPECT_FALSE(trainer().train_step().skipped);
}

TEST_F(Suspect, SkippedStepsDoNotCountForAdamW) {
  config_.numerics.nonfinite = "skip";
  config_.optimizer.weight_decay = config_.optimizer.clip_norm = 0;
  trainer().start();
  const float first = weight(0);
  set_weight(0, nan);
  trainer().train_step();
  set_weight(0, first);
  const std::vector<float> before = weights();
  const double lr = trainer().train_step().lr;
  const std::vector<float> after = weights();
  double largest = 0;
  for (size_t i = 0; i < before.size(); ++i) largest = std::max(largest, std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i])));
  EXPECT_NEAR(largest / lr, 1, 1e-3) << "the first update of AdamW moves each weight by the learning rate";
}

}  // namespace
}  // namespace lawa::test
