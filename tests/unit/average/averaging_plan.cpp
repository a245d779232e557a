// Which checkpoints make up which average.
#include "average/averaging_plan.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

using Steps = std::vector<int64_t>;

/// The members of every average; checks on the way that each is labelled with its newest.
std::vector<Steps> members(const AveragingConfig& config, const Steps& steps) {
  std::vector<Steps> found;
  for (const Average& average : averaging_plan(config, steps)) {
    EXPECT_EQ(average.step, average.members.back());
    found.push_back(average.members);
  }
  return found;
}

/// Checkpoints as Pythia (Biderman et al. 2023) keeps them: powers of two, then every 1000 steps.
Steps pythia_steps() {
  Steps steps{0};
  for (int64_t step = 1; step <= 512; step *= 2) steps.push_back(step);
  for (int64_t step = 1000; step <= 6000; step += 1000) steps.push_back(step);
  return steps;
}

TEST(AveragingPlan, SlidingWindowsEndAtEverySnapshot) {
  EXPECT_THAT(members({.scheme = "sliding", .window = 3, .stride = 10}, {0, 10, 20, 30, 40, 50}),
              ElementsAre(Steps{10, 20, 30}, Steps{20, 30, 40}, Steps{30, 40, 50}));
}

TEST(AveragingPlan, LawaMeansSliding) {
  const Steps steps{10, 20, 30, 40};
  EXPECT_EQ(members({.scheme = "lawa", .window = 2}, steps), members({.scheme = "sliding", .window = 2}, steps));
}

TEST(AveragingPlan, TumblingWindowsShareNoMemberAndAnIncompleteOneIsDropped) {
  EXPECT_THAT(members({.scheme = "tumbling", .window = 2, .stride = 10}, {10, 20, 30, 40, 50}),
              ElementsAre(Steps{10, 20}, Steps{30, 40}));
}

TEST(AveragingPlan, SnapshotsAreMultiplesOfTheStride) {
  EXPECT_THAT(members({.window = 2, .stride = 20}, {5, 10, 20, 30, 40, 55, 60}), ElementsAre(Steps{20, 40}, Steps{40, 60}));
  EXPECT_THAT(members({.window = 2, .stride = 2000}, pythia_steps()), ElementsAre(Steps{2000, 4000}, Steps{4000, 6000}));
}

TEST(AveragingPlan, WithoutAStrideEveryCheckpointIsASnapshotExceptTheInitialWeights) {
  const auto found = members({.window = 2}, pythia_steps());
  EXPECT_EQ(found.size(), 15u);
  EXPECT_THAT(found.front(), ElementsAre(1, 2));
  EXPECT_THAT(found[9], ElementsAre(512, 1000));
}

TEST(AveragingPlan, FirstAndLastAreLegalMembers) {
  EXPECT_THAT(members({.window = 2, .stride = 1000, .first = 2000, .last = 4000}, pythia_steps()),
              ElementsAre(Steps{2000, 3000}, Steps{3000, 4000}));
  EXPECT_THAT(members({.window = 2, .first = 1001, .last = 3999}, pythia_steps()), ElementsAre(Steps{2000, 3000}));
}

TEST(AveragingPlan, AWindowOfOneIsEverySnapshot) {
  EXPECT_THAT(members({.window = 1}, {10, 20}), ElementsAre(Steps{10}, Steps{20}));
}

TEST(AveragingPlan, AMissingSnapshotIsNamed) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = 2, .stride = 10}, {10, 20, 25, 40, 50}); }),
            "averaging.stride: there is no checkpoint of step 30, between 20 and 40");
  EXPECT_THAT(members({.window = 2, .stride = 10, .first = 40}, {10, 20, 40, 50}), ElementsAre(Steps{40, 50})) << "not needed";
}

TEST(AveragingPlan, TooFewCheckpointsAreCounted) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = 3}, {0, 10, 20}); }),
            "averaging.window: 3 checkpoints are needed, and there are 2");
  EXPECT_EQ(error_of([] { averaging_plan({.window = 2, .stride = 10}, {5, 10, 15}); }),
            "averaging.window: 2 checkpoints are needed at multiples of 10 steps, and there are 1");
  EXPECT_THAT(error_of([] { averaging_plan({.window = 1, .first = 20, .last = 10}, {10, 20}); }), HasSubstr("there are 0"));
}

TEST(AveragingPlan, TwoCheckpointsOfOneStepAreRefused) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = 2}, {10, 20, 20}); }), "two of the checkpoints have step 20");
}

}  // namespace
}  // namespace lawa
