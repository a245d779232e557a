// The mean of float32 arrays: the exact mean, rounded once.
#include <gtest/gtest.h>

#include <cmath>

#include "average/averager.hpp"
#include "reference/mean.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using Floats = std::vector<float>;

Floats mean_of(const std::vector<Floats>& arrays) {
  Mean mean(arrays[0].size());
  for (const Floats& array : arrays) mean.add(array);
  Floats out(arrays[0].size(), test::not_a_number);
  mean.finish(out);
  return out;
}

/// The same element by element, with exact sums.
Floats exact_mean_of(const std::vector<Floats>& arrays) {
  Floats out;
  for (size_t i = 0; i < arrays[0].size(); ++i) {
    Floats column;
    for (const Floats& array : arrays) column.push_back(array[i]);
    out.push_back(reference::mean(column));
  }
  return out;
}

/// `count` arrays that walk around common values, as a run's checkpoints do.
std::vector<Floats> checkpoints(size_t count, int64_t size, double deviation) {
  std::vector<Floats> arrays{test::normals(size, 100, deviation)};
  while (arrays.size() < count) {
    Floats next = arrays.back();
    const Floats walk = test::normals(size, 100 + arrays.size(), deviation / 10);
    for (size_t i = 0; i < next.size(); ++i) next[i] += walk[i];
    arrays.push_back(next);
  }
  return arrays;
}

TEST(Mean, IsTheFloatNearestToTheExactMean) {
  for (const size_t count : {2u, 3u, 5u, 6u, 10u, 17u}) {
    const auto arrays = checkpoints(count, 5000, 0.02);
    EXPECT_TRUE(test::same_bits(mean_of(arrays), exact_mean_of(arrays))) << count << " members";
  }
}

TEST(Mean, KeepsDenormalsAndTheSmallestDigits) {
  for (const double deviation : {1e-39, 1e-41, 1e-44}) {
    const auto arrays = checkpoints(5, 1000, deviation);
    EXPECT_TRUE(test::same_bits(mean_of(arrays), exact_mean_of(arrays))) << deviation;
  }
  EXPECT_EQ(mean_of({{1e30f}, {1.0f}, {-1e30f}})[0], 0.0f) << "float64 holds 53 bits: further apart, the small one is lost";
  EXPECT_EQ(mean_of({{1e15f}, {1.0f}, {-1e15f}})[0], 1.0f / 3);
}

TEST(Mean, DoesNotOverflowWhereItsMembersDoNot) {
  constexpr float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(mean_of({{largest}, {largest}, {largest}})[0], largest);
}

TEST(Mean, OfOneArrayIsThatArray) {
  for (const double deviation : {1.0, 1e-40}) {
    const Floats values = test::normals(5000, 1, deviation);
    EXPECT_TRUE(test::same_bits(mean_of({values}), values));
  }
  EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, 0.0f}}), Floats{-0.0f, 0.0f}));
  EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, -0.0f}, {-0.0f, 0.0f}}), Floats{-0.0f, 0.0f}));
}

TEST(Mean, BeginsAgainAfterItWasFinished) {
  const auto arrays = checkpoints(4, 100, 1);
  Mean mean(100);
  Floats out(100);
  for (int window = 0; window + 2 < 4; ++window) {
    for (int member = window; member < window + 3; ++member) mean.add(arrays[static_cast<size_t>(member)]);
    mean.finish(out);
    EXPECT_TRUE(test::same_bits(out, mean_of({arrays.begin() + window, arrays.begin() + window + 3})));
  }
}

TEST(Mean, TakesShorterArraysAndRefusesLonger) {
  Mean mean(3);
  mean.add(Floats{1, 2});
  mean.add(Floats{3, 6});
  Floats out(2);
  mean.finish(out);
  EXPECT_EQ(out, (Floats{2, 4}));
  EXPECT_NE(test::error_of([&] { mean.finish(out); }), "no error") << "there is nothing to divide by";
  EXPECT_NE(test::error_of([&] { mean.add(Floats(4)); }), "no error");
}

TEST(Mean, OfDivergedWeightsIsNoNumber) {
  EXPECT_TRUE(std::isnan(mean_of({{1.0f}, {test::not_a_number}})[0]));
}

}  // namespace
}  // namespace lawa
