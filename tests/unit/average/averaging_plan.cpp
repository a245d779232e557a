// Which checkpoints make up which average.
#include "average/averaging_plan.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/errors.hpp"
#include "support/steps.hpp"

namespace lawa {
namespace {

using test::error_of;
using test::first_steps;
using test::Steps;
using testing::ElementsAre;
using testing::HasSubstr;

/// The members of every average; checks on the way that each is labelled with its newest.
std::vector<Steps> members(const AveragingConfig& config, const Steps& steps) {
  std::vector<Steps> found;
  for (const Average& average : averaging_plan(config, steps)) {
    Steps& of_average = found.emplace_back();
    for (const Member& member : average.members) of_average.push_back(member.step);
    EXPECT_EQ(average.step(), of_average.back());
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

TEST(AveragingPlan, LawaWindowsEndAtEverySnapshot) {
  EXPECT_THAT(members({.scheme = "lawa", .window = {3}, .stride = {10}}, {0, 10, 20, 30, 40, 50}),
              ElementsAre(Steps{10, 20, 30}, Steps{20, 30, 40}, Steps{30, 40, 50}));
}

TEST(AveragingPlan, SlidingMeansLawa) {
  const Steps steps{10, 20, 30, 40};
  EXPECT_EQ(members({.scheme = "lawa", .window = {2}}, steps), members({.scheme = "sliding", .window = {2}}, steps));
}

TEST(AveragingPlan, TumblingWindowsShareNoMemberAndAnIncompleteOneIsDropped) {
  EXPECT_THAT(members({.scheme = "tumbling", .window = {2}, .stride = {10}}, {10, 20, 30, 40, 50}),
              ElementsAre(Steps{10, 20}, Steps{30, 40}));
}

TEST(AveragingPlan, SnapshotsAreMultiplesOfTheStride) {
  EXPECT_THAT(members({.window = {2}, .stride = {20}}, {5, 10, 20, 30, 40, 55, 60}), ElementsAre(Steps{20, 40}, Steps{40, 60}));
  EXPECT_THAT(members({.window = {2}, .stride = {2000}}, pythia_steps()), ElementsAre(Steps{2000, 4000}, Steps{4000, 6000}));
}

TEST(AveragingPlan, WithoutAStrideEveryCheckpointIsASnapshotExceptTheInitialWeights) {
  const auto found = members({.window = {2}}, pythia_steps());
  EXPECT_EQ(found.size(), 15u);
  EXPECT_THAT(found.front(), ElementsAre(1, 2));
  EXPECT_THAT(found[9], ElementsAre(512, 1000));
}

// arXiv 2306.03241's lawa.py: disjoint groups of five, then the rest unless it is a single file.
TEST(AveragingPlan, ReleasedLawaKeepsAnIncompleteLastWindowOfTwoOrMore) {
  const auto of_25 = members({.scheme = "lawa_released"}, first_steps(25));
  ASSERT_EQ(of_25.size(), 5u);
  for (int64_t group = 0; group < 5; ++group)
    EXPECT_THAT(of_25[static_cast<size_t>(group)],
                ElementsAre(5 * group + 1, 5 * group + 2, 5 * group + 3, 5 * group + 4, 5 * group + 5));
  EXPECT_EQ(members({.scheme = "lawa_released"}, first_steps(26)), of_25) << "a single one is dropped";
  const auto of_27 = members({.scheme = "lawa_released"}, first_steps(27));
  ASSERT_EQ(of_27.size(), 6u);
  EXPECT_THAT(of_27.back(), ElementsAre(26, 27));
  EXPECT_THAT(members({.scheme = "lawa_released"}, first_steps(3)), ElementsAre(Steps{1, 2, 3}));
  EXPECT_EQ(members({.scheme = "lawa"}, first_steps(25)).size(), 21u);
  EXPECT_EQ(members({.scheme = "lawa"}, first_steps(27)).size(), 23u);
  EXPECT_EQ(members({.scheme = "tumbling"}, first_steps(27)).size(), 5u);
}

/// The weights of the newest average.
std::vector<double> weights(const AveragingConfig& config, const Steps& steps) {
  std::vector<double> found;
  const auto plan = averaging_plan(config, steps);
  for (const Member& member : plan.back().members) found.push_back(member.weight);
  return found;
}

TEST(AveragingPlan, WindowsAndSwaAreUniform) {
  for (const char* scheme : {"lawa", "tumbling", "lawa_released", "swa"})
    for (const Average& average : averaging_plan({.scheme = scheme, .window = {3}}, first_steps(8)))
      EXPECT_TRUE(average.uniform()) << scheme;
  EXPECT_FALSE(averaging_plan({.scheme = "linear", .window = {3}}, first_steps(8))[0].uniform());
}

TEST(AveragingPlan, SwaHoldsAllSinceTheFirst) {
  EXPECT_THAT(members({.scheme = "swa", .stride = {10}, .first = 20}, {10, 20, 30, 40}),
              ElementsAre(Steps{20, 30}, Steps{20, 30, 40}));
}

TEST(AveragingPlan, EmaIsItsRecurrence) {
  const double beta = 0.75;
  const auto plan = averaging_plan({.scheme = "ema", .beta = beta}, first_steps(6));
  ASSERT_EQ(plan.size(), 5u);
  std::vector<double> e{1};  // what each snapshot counts in the recurrence
  for (const Average& average : plan) {
    for (double& weight : e) weight *= beta;
    e.push_back(1 - beta);
    ASSERT_EQ(average.members.size(), e.size());
    for (size_t i = 0; i < e.size(); ++i) EXPECT_DOUBLE_EQ(average.members[i].weight, e[i]);
  }
  EXPECT_DOUBLE_EQ(e[0], std::pow(beta, 5));  // and written out
  EXPECT_DOUBLE_EQ(e[2], (1 - beta) * std::pow(beta, 3));
}

TEST(AveragingPlan, GivenAndLinearWeightsAreOldestFirst) {
  EXPECT_THAT(weights({.scheme = "linear", .window = {4}}, first_steps(9)), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(weights({.scheme = "weights", .window = {3}, .weights = {1, 0, 3}}, first_steps(9)), ElementsAre(1, 0, 3));
}

TEST(AveragingPlan, DecayCurvesTellTheWeights) {
  const std::vector<double> curve{1, 0.75, 0.5, 0.25};  // a linear decay is a uniform mean
  EXPECT_THAT(weights({.scheme = "curve", .window = {4}, .curve = curve}, first_steps(9)), ElementsAre(0.25, 0.25, 0.25, 0.25));
  const auto found = weights({.scheme = "1-sqrt", .window = {4}}, first_steps(9));
  ASSERT_EQ(found.size(), 4u);
  double behind = 0;  // the updates up to checkpoint i count as what stands behind it weighs together; all of it is 1
  for (size_t i = 4; i-- > 0;) {
    behind += found[i];
    EXPECT_NEAR(behind, 1 - std::sqrt(static_cast<double>(i) / 4), 1e-15);
  }
}

TEST(AveragingPlan, AGridGoesWindowByWindowWithinStrideByStride) {
  const auto plan = averaging_plan({.window = {2, 3}, .stride = {1, 4}}, first_steps(8));
  std::vector<std::pair<int64_t, int64_t>> places;
  for (const Average& average : plan)
    if (const std::pair place{average.spec.stride, average.spec.window}; places.empty() || places.back() != place) places.push_back(place);
  EXPECT_THAT(places, ElementsAre(std::pair(1, 2), std::pair(1, 3), std::pair(4, 2))) << "three do not fit into 4, 8";
  EXPECT_EQ(plan.size(), 7u + 6u + 1u);
}

TEST(AveragingPlan, OnlyTheStepsThatAreAskedFor) {
  EXPECT_THAT(members({.window = {2}, .at = {3, 8}}, first_steps(8)), ElementsAre(Steps{2, 3}, Steps{7, 8}));
  EXPECT_THAT(members({.window = {2}, .stride = {1, 4}, .at = {3, 8}}, first_steps(8)),
              ElementsAre(Steps{2, 3}, Steps{7, 8}, Steps{4, 8})) << "one place of the grid is enough";
  EXPECT_EQ(error_of([] { averaging_plan({.window = {2}, .at = {3, 9}}, first_steps(8)); }),
            "averaging.at: no average ends at step 9");
}

TEST(AveragingPlan, KeysThatDoNotFitTogetherAreNamed) {
  ConfigSource source;
  source.add_toml("[averaging]\nweights = [1, 2]\ncurve = [0.5, 1]\nwindow = 2\nstride = 10", "average.toml");
  const auto refusal = [&](const AveragingConfig& config) { return error_of([&] { check(config, source); }); };
  EXPECT_EQ(refusal({.scheme = "weights", .window = {3}, .weights = {1, 2}}),
            "averaging.weights (average.toml:2): 2 values for a window (average.toml:4) of 3");
  EXPECT_THAT(refusal({.scheme = "weights", .window = {2, 3}, .weights = {1, 2}}),
              HasSubstr("averaging.weights (average.toml:2)"))
      << "they can't fit every window of a grid";
  EXPECT_EQ(refusal({.scheme = "weights", .window = {2}, .weights = {0, 0}}),
            "averaging.weights (average.toml:2): all values are zero");
  EXPECT_EQ(refusal({.scheme = "curve", .window = {2}, .curve = {0.5, 1}}), "averaging.curve (average.toml:3): must not rise");
  EXPECT_EQ(refusal({.window = {}}), "averaging.window (average.toml:4): names no window");
  EXPECT_EQ(refusal({.stride = {}}), "averaging.stride (average.toml:5): names no stride");
  EXPECT_THAT(refusal({.scheme = "weights", .window = {2}, .weights = {1e308, 1e308}}), HasSubstr("their sum is no number any more"));
  EXPECT_EQ(refusal({.window = {2}}), "averaging.weights (average.toml:2): means nothing to lawa");
  const auto alone = [](const std::string& keys) {
    ConfigSource one;
    one.add_toml("[averaging]\nwindow = 2\n" + keys, "average.toml");
    return error_of([&] {
      AveragingConfig config;
      each_field(config, "averaging", [&](const std::string& key, auto& field, const std::string&, const Limit& limit) {
        if (const auto* entry = one.find(key)) detail::assign(field, key, *entry, limit);
      }, [](const std::string&, auto&) {});
      check(config, one);
    });
  };
  EXPECT_EQ(alone("scheme = 'weights'\nweights = [1, 2]"), "no error");
  EXPECT_EQ(alone("scheme = 'curve'\ncurve = [0.5, 0.5]"), "no error");
  EXPECT_EQ(alone("scheme = 'ema'\nbeta = 0.5"), "no error");
  EXPECT_EQ(alone("beta = 0.5"), "averaging.beta (average.toml:3): means nothing to lawa");
}

TEST(AveragingPlan, FirstAndLastAreLegalMembers) {
  EXPECT_THAT(members({.window = {2}, .stride = {1000}, .first = 2000, .last = 4000}, pythia_steps()),
              ElementsAre(Steps{2000, 3000}, Steps{3000, 4000}));
  EXPECT_THAT(members({.window = {2}, .first = 1001, .last = 3999}, pythia_steps()), ElementsAre(Steps{2000, 3000}));
}

TEST(AveragingPlan, AWindowOfOneIsEverySnapshot) {
  EXPECT_THAT(members({.window = {1}}, {10, 20}), ElementsAre(Steps{10}, Steps{20}));
}

TEST(AveragingPlan, AMissingSnapshotIsNamed) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = {2}, .stride = {10}}, {10, 20, 25, 40, 50}); }),
            "averaging.stride: there is no checkpoint of step 30, between 20 and 40");
  EXPECT_THAT(members({.window = {2}, .stride = {10}, .first = 40}, {10, 20, 40, 50}), ElementsAre(Steps{40, 50}))
      << "30 is not needed";
}

TEST(AveragingPlan, NoWindowIsTooLargeToBeRefused) {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(error_of([&] { averaging_plan({.window = {huge}}, {10, 20}); }),
            concat("averaging.window: ", huge, " checkpoints are needed, and there are 2"));
  EXPECT_THAT(members({.scheme = "lawa_released", .window = {huge}}, {10, 20, 30}), ElementsAre(Steps{10, 20, 30}));
  EXPECT_THAT(members({.window = {huge, 2}}, {10, 20}), ElementsAre(Steps{10, 20}));
}

TEST(AveragingPlan, EqualWeightsAreUniform) {
  EXPECT_TRUE(averaging_plan({.scheme = "weights", .window = {2}, .weights = {0.2, 0.2}}, {10, 20})[0].uniform());
  EXPECT_FALSE(averaging_plan({.scheme = "weights", .window = {2}, .weights = {0.2, 0.3}}, {10, 20})[0].uniform());
}

TEST(AveragingPlan, TooFewCheckpointsAreCounted) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = {3, 4}}, {0, 10, 20}); }),
            "averaging.window: 3 checkpoints are needed, and there are 2");
  EXPECT_EQ(error_of([] { averaging_plan({.window = {2}, .stride = {10}}, {5, 10, 15}); }),
            "averaging.window: 2 checkpoints are needed at multiples of 10 steps, and there are 1");
  EXPECT_THAT(error_of([] { averaging_plan({.window = {1}, .first = 20, .last = 10}, {10, 20}); }), HasSubstr("there are 0"));
}

TEST(AveragingPlan, TwoCheckpointsOfOneStepAreRefused) {
  EXPECT_EQ(error_of([] { averaging_plan({.window = {2}}, {10, 20, 20}); }), "two of the checkpoints have step 20");
}

/// Two runs' checkpoints of steps 10, 20 and 30: checkpoint i of step s is 2 s + i.
TEST(AveragingPlan, CheckpointsOfSeveralRunsCountTogetherStepByStep) {
  const Steps both{20, 21, 40, 41, 60, 61};
  const auto members_of = [&](const AveragingConfig& config, const Steps& steps) {
    std::vector<Steps> found;
    for (const Average& average : averaging_plan(config, steps, 2)) {
      Steps& of_average = found.emplace_back();
      for (const Member& member : average.members) of_average.push_back(member.step);
    }
    return found;
  };
  EXPECT_THAT(members_of({.window = {2}}, both), ElementsAre(Steps{20, 21}, Steps{40, 41}, Steps{60, 61}));
  EXPECT_THAT(members_of({.window = {4}, .stride = {10}}, both), ElementsAre(Steps{20, 21, 40, 41}, Steps{40, 41, 60, 61}));
  EXPECT_THAT(members_of({.window = {2}, .stride = {20}}, both), ElementsAre(Steps{40, 41}));
  EXPECT_THAT(members_of({.window = {2}, .at = {30}}, both), ElementsAre(Steps{60, 61}));
  EXPECT_THAT(members_of({.scheme = "tumbling", .window = {4}}, both), ElementsAre(Steps{20, 21, 40, 41}));
  EXPECT_THAT(members_of({.scheme = "swa", .first = 20}, both), ElementsAre(Steps{40, 41}, Steps{40, 41, 60, 61}));
  EXPECT_THAT(members_of({.window = {3}}, {20, 40, 41}), ElementsAre(Steps{20, 40, 41})) << "one run's ends earlier";
  EXPECT_THAT(members_of({.window = {3}, .at = {20}}, {21, 40, 41, 60, 61}), ElementsAre(Steps{21, 40, 41})) << "others aren't asked for";
  EXPECT_THAT(error_of([&] { averaging_plan({.scheme = "tumbling", .window = {3}}, {20, 21, 40, 41}, 2); }), HasSubstr("a part of those of step 20"));
  EXPECT_THAT(error_of([&] { averaging_plan({.window = {3}}, both, 2); }), HasSubstr("3 checkpoints up to step 20 would be only a part of those of step 10"));
  EXPECT_THAT(error_of([&] { averaging_plan({.window = {2}, .stride = {10}}, {20, 21, 60, 61}, 2); }), HasSubstr("there is no checkpoint of step 20, between 10 and 30"));
}

}  // namespace
}  // namespace lawa
