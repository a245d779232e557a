#include "train/stop_rule.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace lawa {
namespace {

TEST(StopRule, CountsEvaluationsSinceTheLowestLoss) {
  const std::vector<double> losses{5, 4, 4.5, 4, 4.2};  // equal is not lower
  EXPECT_TRUE(patience_is_over(losses, 3));
  EXPECT_FALSE(patience_is_over(losses, 4));
  EXPECT_FALSE(patience_is_over(std::span(losses).first(4), 3));
}

TEST(StopRule, IsOffWithoutPatience) { EXPECT_FALSE(patience_is_over(std::vector<double>{1, 2, 3, 4}, 0)); }

TEST(StopRule, BeginsAnewAtEveryImprovement) { EXPECT_FALSE(patience_is_over(std::vector<double>{5, 6, 6, 4, 5}, 2)); }

TEST(StopRule, NothingHasStoppedFallingYet) { EXPECT_FALSE(patience_is_over({}, 1)); }

TEST(StopRule, WhatIsNotANumberIsNoImprovement) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(patience_is_over(std::vector<double>{5, nan, nan}, 2));
}

}  // namespace
}  // namespace lawa
