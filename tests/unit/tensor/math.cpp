// exponential(): the one elementary function that is written here rather than called.
#include "tensor/math.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace lawa {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// How far exponential(x) is from e^x, in units in the last place of e^x.
double error_in_ulp(float x) {
  const double exact = std::exp(static_cast<double>(x));
  const auto nearest = static_cast<float>(exact);
  return std::abs(static_cast<double>(exponential(x)) - exact) / static_cast<double>(std::nextafter(nearest, infinity) - nearest);
}

TEST(Exponential, IsWithinTwoUnitsInTheLastPlace) {
  double worst = 0;
  // Every 499th float of either sign, from 0 over the denormals to the limits: all binades are met.
  for (uint32_t bits = 0; bits < std::bit_cast<uint32_t>(88.0f); bits += 499) {
    const auto x = std::bit_cast<float>(bits);
    worst = std::max(worst, error_in_ulp(x));
    if (x < 87) worst = std::max(worst, error_in_ulp(-x));
  }
  EXPECT_LE(worst, 2);
}

TEST(Exponential, IsExactAtZero) {
  EXPECT_EQ(exponential(0.0f), 1);
  EXPECT_EQ(exponential(-0.0f), 1);
}

TEST(Exponential, IsClampedOutsideItsRange) {
  for (const float beyond : {0.5f, 1e4f, std::numeric_limits<float>::max(), infinity}) {
    EXPECT_EQ(exponential(-87 - beyond), exponential(-87.0f));
    EXPECT_EQ(exponential(88 + beyond), exponential(88.0f));
  }
  EXPECT_LT(exponential(-infinity), 2e-38f);
  EXPECT_LT(exponential(infinity), infinity);
}

TEST(Exponential, KeepsNaN) {  // a run that has diverged must show it
  EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Sigmoid, RunsFromZeroToOne) {
  EXPECT_EQ(sigmoid(0), 0.5f);
  EXPECT_EQ(sigmoid(infinity), 1);
  EXPECT_GE(sigmoid(-infinity), 0);
  EXPECT_LT(sigmoid(-infinity), 1e-37f);
  for (float x = -20; x < 20; x += 0.37f) EXPECT_NEAR(sigmoid(x), 1 / (1 + std::exp(-static_cast<double>(x))), 2e-7) << x;
}

}  // namespace
}  // namespace lawa
