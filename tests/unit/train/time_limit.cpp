#include "train/time_limit.hpp"

#include <gtest/gtest.h>

namespace lawa {
namespace {

TEST(TimeLimit, LeavesRoomForTheLongestOfTheLastStepsAndASave) {
  TimeLimit limit(1e6, 30);
  EXPECT_EQ(limit.stop_at(), 1e6 - 30);
  for (const double seconds : {2., 9., 3.}) limit.made_step(seconds);
  EXPECT_EQ(limit.stop_at(), 1e6 - 30 - 9);
  limit.saved(12);
  EXPECT_EQ(limit.stop_at(), 1e6 - 12 - 9);
  for (int i = 0; i < 8; ++i) limit.made_step(1);
  EXPECT_EQ(limit.stop_at(), 1e6 - 12 - 1) << "the step of nine seconds is long ago";
}

TEST(TimeLimit, NoneAsksForNothing) {
  TimeLimit(0, 30).made_step(1);
  EXPECT_EQ(stop_request(), no_stop);
}

}  // namespace
}  // namespace lawa
