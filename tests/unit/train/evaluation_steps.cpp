// When averages and the weights are evaluated.
#include "train/evaluation_steps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lawa {
namespace {

using testing::ElementsAre;

std::vector<int64_t> all(const EvaluationSteps& steps, int64_t last) {
  std::vector<int64_t> found;
  for (int64_t step = 1; step <= last; ++step)
    if (steps.contains(step, last)) found.push_back(step);
  return found;
}

TEST(EvaluationSteps, AreRegularWithTheLastAndThoseThatAreNamed) {
  EXPECT_THAT(all({10, {}}, 35), ElementsAre(10, 20, 30, 35));
  EXPECT_THAT(all({10, {7, 20}}, 25), ElementsAre(7, 10, 20, 25));
  EXPECT_THAT(all({0, {7, 3}}, 25), ElementsAre(3, 7)) << "only there";
  EXPECT_THAT(all({0, {}}, 25), ElementsAre());
}

TEST(EvaluationSteps, KnowTheNewestBefore) {
  const EvaluationSteps steps{10, {14, 7}};
  EXPECT_EQ(steps.newest_before(7), 0);
  EXPECT_EQ(steps.newest_before(10), 7);
  EXPECT_EQ(steps.newest_before(11), 10);
  EXPECT_EQ(steps.newest_before(20), 14);
  EXPECT_EQ(EvaluationSteps{}.newest_before(20), 0);
}

TEST(EvaluationSteps, OfAnAverageAreItsOwnOrTheRuns) {
  const EvaluateConfig run{.steps = 10, .at = {3}};
  EXPECT_THAT(all(evaluation_steps({}, run), 20), ElementsAre(3, 10, 20));
  EXPECT_THAT(all(evaluation_steps({.evaluate_at = {4}}, run), 20), ElementsAre(4));
  EXPECT_THAT(all(evaluation_steps({.evaluate_steps = 8}, run), 20), ElementsAre(8, 16, 20));
  EXPECT_THAT(all(evaluation_steps({.evaluate_steps = 8, .evaluate_at = {4}}, run), 20), ElementsAre(4, 8, 16, 20));
}

TEST(EvaluationSteps, OfOneAverageMakeTheRunEvaluate) {
  TrainConfig config;
  config.evaluate.steps = 0;
  config.averages = {{}};
  EXPECT_FALSE(evaluates(config));
  config.averages.push_back({.evaluate_at = {4}});
  EXPECT_TRUE(evaluates(config));
}

}  // namespace
}  // namespace lawa
