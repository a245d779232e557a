#include "train/pace.hpp"

#include <gmock/gmock.h>

namespace lawa {
namespace {

/// What is said while so many steps of this speed are made, behind a last start of `before`; all of it.
std::vector<std::string> said(const std::vector<double>& before, const std::vector<double>& now) {
  Pace pace(before);
  std::vector<std::string> all;
  for (const double rate : now)
    if (const auto text = pace.add(rate)) all.push_back(*text);
  return all;
}
std::vector<double> steps(size_t count, double rate) { return std::vector<double>(count, rate); }

TEST(Pace, AFarSlowerStartIsSaidOnceWithBothSpeeds) {
  const auto text = said(steps(50, 1000), steps(100, 500));
  ASSERT_EQ(text.size(), 1u);
  EXPECT_THAT(text[0], testing::AllOf(testing::HasSubstr("500 tokens/s"), testing::HasSubstr("made 1000")));
}

TEST(Pace, ALittleSlowerOrFasterIsNothing) {
  for (const double now : {610.0, 1000.0, 5000.0}) EXPECT_TRUE(said(steps(50, 1000), steps(100, now)).empty()) << now;
}

TEST(Pace, AFewSlowStepsAreNothing) {
  std::vector<double> now = steps(9, 1);
  now.insert(now.end(), 91, 1000);
  EXPECT_TRUE(said(steps(50, 1000), now).empty());
}

TEST(Pace, TooFewStepsOnEitherSideSayNothing) {
  EXPECT_TRUE(said(steps(Pace::first_steps - 1, 1000), steps(100, 1)).empty());
  EXPECT_TRUE(said(steps(Pace::first_steps, 1000), steps(Pace::first_steps - 1, 1)).empty());
  EXPECT_TRUE(said({}, steps(100, 1)).empty());
}

}  // namespace
}  // namespace lawa
