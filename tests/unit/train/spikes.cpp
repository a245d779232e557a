#include "train/spikes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lawa {
namespace {

/// Losses that lie 0.1 around 3, by turns.
std::vector<double> even(size_t count) {
  std::vector<double> losses;
  for (size_t i = 0; i < count; ++i) losses.push_back(i % 2 == 0 ? 2.9 : 3.1);
  return losses;
}

SpikeWatch after(const std::vector<double>& losses, double least_deviations = 8) {
  SpikeWatch watch(least_deviations);
  watch.restart(losses);
  return watch;
}

TEST(SpikeWatch, ALossFarAboveThoseBeforeIsASpike) {
  const SpikeWatch watch = after(even(SpikeWatch::window));  // median 3.1, all of them 0 or 0.2 from it: deviation 1.4826 * 0.2
  EXPECT_FALSE(watch.judge(3.1 + 7.9 * 1.4826 * 0.2));
  const auto spike = watch.judge(3.1 + 8.1 * 1.4826 * 0.2);
  ASSERT_TRUE(spike);
  EXPECT_DOUBLE_EQ(spike->expected, 3.1);
  EXPECT_NEAR(spike->deviations, 8.1, 1e-9);
}

TEST(SpikeWatch, ALossFarBelowIsNone) { EXPECT_FALSE(after(even(SpikeWatch::window)).judge(0.1)); }

TEST(SpikeWatch, TooFewLossesMakeNoExpectation) {
  EXPECT_FALSE(after(even(SpikeWatch::least - 1)).judge(1e6));
  EXPECT_TRUE(after(even(SpikeWatch::least)).judge(1e6));
}

TEST(SpikeWatch, EqualLossesMakeNoSpikeOfATrifle) {
  const SpikeWatch watch = after(std::vector<double>(SpikeWatch::window, 2.0));
  EXPECT_FALSE(watch.judge(2.0 + 7.9 * 0.002));
  EXPECT_TRUE(watch.judge(2.0 + 8.1 * 0.002));
}

TEST(SpikeWatch, OneSpikeDoesNotHideTheNext) {
  SpikeWatch watch = after(even(SpikeWatch::window));
  watch.add(50);
  EXPECT_TRUE(watch.judge(50));
}

TEST(SpikeWatch, ANewLevelIsOneInTheEnd) {
  SpikeWatch watch = after(even(SpikeWatch::window));
  for (size_t i = 0; i < SpikeWatch::window; ++i) watch.add(i % 2 == 0 ? 8.9 : 9.1);
  EXPECT_FALSE(watch.judge(9.2));
}

TEST(SpikeWatch, WhatCameBeforeTheWindowDoesNotCount) {
  std::vector<double> losses(500, 100.0);
  const auto last = even(SpikeWatch::window);
  losses.insert(losses.end(), last.begin(), last.end());
  SpikeWatch added(8);
  for (const double loss : losses) added.add(loss);
  for (const double loss : {3.1, 5.4, 5.5, 6.0}) {
    const auto a = added.judge(loss), b = after(losses).judge(loss);
    ASSERT_EQ(a.has_value(), b.has_value()) << loss;
    if (a) EXPECT_EQ(a->deviations, b->deviations);
  }
}

TEST(SpikeWatch, IsOffAtNoDeviations) { EXPECT_FALSE(after(even(SpikeWatch::window), 0).judge(1e6)); }

}  // namespace
}  // namespace lawa
