// Means that are rounded once: against exact sums of doubles that don't overlap, an independent way to the same number.
#include "average/exact_mean.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/mean.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using Floats = std::vector<float>;
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<const float*> pointers(const std::vector<Floats>& members) {
  std::vector<const float*> data;
  for (const Floats& member : members) data.push_back(member.data());
  return data;
}

Floats mean_of(const std::vector<Floats>& members, Rounding rounding = Rounding::float32) {
  Floats out(members[0].size(), test::not_a_number);
  const std::vector<MeanOfFirst> wanted{{std::ssize(members), out.data()}};
  uniform_means(pointers(members), wanted, std::ssize(out), rounding);
  return out;
}

Floats exact_mean_of(const std::vector<Floats>& members) {
  Floats out, column;
  for (size_t i = 0; i < members[0].size(); ++i) {
    column.clear();
    for (const Floats& member : members) column.push_back(member[i]);
    out.push_back(reference::mean(column));
  }
  return out;
}

/// `count` arrays that walk around common values, as a run's checkpoints do; `spread` scatters their exponents.
std::vector<Floats> checkpoints(size_t count, int64_t size, double deviation, uint64_t seed, double spread = 0) {
  std::vector<Floats> members;
  const Floats common = test::normals(size, seed, deviation), exponents = test::normals(size, seed + 1, spread);
  for (size_t j = 0; j < count; ++j) {
    Floats& next = members.emplace_back(test::normals(size, seed + 2 + j, deviation / 10));
    for (size_t i = 0; i < next.size(); ++i) {
      next[i] += common[i];
      if (spread > 0) next[i] *= std::exp2(std::round(exponents[(i * (j + 1)) % exponents.size()]));
    }
  }
  return members;
}

TEST(UniformMeans, AreTheFloatsNearestToTheExactMeans) {
  for (const size_t count : {1u, 2u, 3u, 5u, 6u, 7u, 10u, 17u, 20u}) {
    const auto members = checkpoints(count, 5001, 0.02, 100 * count);
    EXPECT_TRUE(test::same_bits(mean_of(members), exact_mean_of(members))) << count << " members";
  }
}

TEST(UniformMeans, AreExactWhereFloat64IsNot) {
  for (const double spread : {10.0, 20.0, 30.0}) {
    const auto members = checkpoints(5, 20'000, 0.02, 7, spread);
    EXPECT_TRUE(test::same_bits(mean_of(members), exact_mean_of(members))) << spread;
  }
  EXPECT_EQ(mean_of({{1e20f}, {1.0f}, {-1e20f}})[0], 1.0f / 3);
  EXPECT_EQ(mean_of({{1.0f}, {1 + 0x1p-23f}, {0x1p-60f}, {0.0f}})[0], reference::mean(Floats{1.0f, 1 + 0x1p-23f, 0x1p-60f, 0.0f}));
  EXPECT_EQ(mean_of({{1.0f}, {1 + 0x1p-23f}})[0], 1.0f) << "a tie goes to the even one";
  EXPECT_EQ(mean_of({{1.0f}, {1.0f}, {1 + 0x1p-23f}, {1 + 0x1p-23f}})[0], 1.0f);
  EXPECT_EQ(mean_of({{1.0f}, {1.0f}, {1 + 0x1p-23f}, {1 + 0x1p-23f}, {0x1p-80f}})[0],
            reference::mean(Floats{1.0f, 1.0f, 1 + 0x1p-23f, 1 + 0x1p-23f, 0x1p-80f}));
}

TEST(UniformMeans, KeepDenormals) {
  for (const double deviation : {1e-38, 1e-39, 1e-41, 1e-44})
    for (const size_t count : {2u, 5u, 6u}) {
      const auto members = checkpoints(count, 1000, deviation, 3);
      EXPECT_EQ(mean_of(members), exact_mean_of(members)) << deviation;  // the reference has no -0
    }
}

/// True when no float is nearer to sum / count; the sum must be exact.
bool is_nearest(float mean, long double sum, long double count) {
  const auto distance = [&](float x) { return std::abs(count * static_cast<long double>(x) - sum); };
  return distance(mean) <= distance(std::nextafter(mean, infinity)) && distance(mean) <= distance(std::nextafter(mean, -infinity));
}

/// Five checkpoints of 1,024 elements, moved 2,000 times: 2 million means. Long doubles hold these sums exactly (64 bits).
TEST(UniformMeans, OfAWindowThatMovesNeverDrift) {
  constexpr size_t moves = 2'000, window = 5;
  const auto trajectory = checkpoints(moves + window, 1024, 0.02, 11, 2);
  int64_t wrong = 0;
  for (size_t move = 0; move < moves; ++move) {
    const std::vector<Floats> members(trajectory.begin() + static_cast<std::ptrdiff_t>(move),
                                      trajectory.begin() + static_cast<std::ptrdiff_t>(move + window));
    const Floats mean = mean_of(members);
    for (size_t i = 0; i < mean.size(); ++i) {
      long double sum = 0;
      for (const Floats& member : members) sum += static_cast<long double>(member[i]);
      wrong += is_nearest(mean[i], sum, window) ? 0 : 1;
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(UniformMeans, OfSeveralCountsComeFromOneWalk) {
  const auto members = checkpoints(20, 777, 0.02, 5);
  std::vector<Floats> out(4, Floats(777, test::not_a_number));
  const std::vector<MeanOfFirst> wanted{{1, out[0].data()}, {2, out[1].data()}, {2, out[2].data()}, {20, out[3].data()}};
  uniform_means(pointers(members), wanted, 777, Rounding::float32);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(test::same_bits(out[i], mean_of({members.begin(), members.begin() + wanted[i].count}))) << i;
}

TEST(UniformMeans, DoNotDependOnTheOrderOfTheMembers) {
  auto members = checkpoints(6, 5000, 0.02, 9, 30);
  const Floats first = mean_of(members);
  std::ranges::reverse(members);
  std::swap(members[1], members[4]);
  EXPECT_TRUE(test::same_bits(mean_of(members), first));
}

TEST(UniformMeans, KeepTheSignOfZero) {
  EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, 0.0f}}), Floats{-0.0f, 0.0f}));
  EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, -0.0f}, {-0.0f, 0.0f}}), Floats{-0.0f, 0.0f}));
}

TEST(UniformMeans, DoNotOverflowAndPassOnWhatIsNotFinite) {
  constexpr float largest = std::numeric_limits<float>::max();
  EXPECT_EQ(mean_of({{largest}, {largest}, {largest}})[0], largest);
  const Floats mean = mean_of({{infinity, infinity, test::not_a_number}, {1, -infinity, 1}});
  EXPECT_EQ(mean[0], infinity);
  EXPECT_TRUE(std::isnan(mean[1]) && std::isnan(mean[2]));
}

/// The bfloat16 nearest to a value that float64 holds exactly.
float bfloat16(double x) {
  if (x == 0) return static_cast<float>(x);
  const double unit = std::exp2(std::max(std::floor(std::log2(std::abs(x))) - 7, -133.0));
  return static_cast<float>(std::nearbyint(x / unit) * unit);
}

TEST(UniformMeans, RoundToBfloat16AtOnce) {
  for (const double deviation : {0.02, 1e30, 1e-39}) {
    auto members = checkpoints(4, 5000, deviation, 13);  // a quarter of a short sum is exact in float64
    const Floats mean = mean_of(members, Rounding::bfloat16);
    for (size_t i = 0; i < mean.size(); ++i) {
      double sum = 0;
      for (const Floats& member : members) sum += static_cast<double>(member[i]);
      ASSERT_EQ(mean[i], bfloat16(sum / 4)) << i << " of " << deviation;
    }
  }
  EXPECT_EQ(mean_of({{1 + 0x1p-8f}, {1 + 0x1p-8f}, {1 + 0x1p-8f + 0x1p-23f}}, Rounding::bfloat16)[0], 1 + 0x1p-7f)
      << "rounded to float32 first, it would be a tie and go down";
}

TEST(WeightedMean, IsAPlainLoopInTheOrderOfTheMembers) {
  const auto members = checkpoints(4, 1000, 0.02, 17);
  const std::vector<double> weights{0.1, 0.7, 1.3, 2};
  Floats out(1000), expected(1000);
  weighted_mean(pointers(members), weights, 1000, Rounding::float32, out.data());
  for (size_t i = 0; i < 1000; ++i) {
    volatile double sum = 0;  // no product and sum in one: the rounding in between counts
    for (size_t j = 0; j < 4; ++j) {
      volatile const double product = weights[j] * static_cast<double>(members[j][i]);
      sum = sum + product;
    }
    expected[i] = static_cast<float>(sum / (0.1 + 0.7 + 1.3 + 2));
  }
  EXPECT_TRUE(test::same_bits(out, expected));
}

TEST(WeightedMean, WithEqualWeightsIsTheUniformOne) {
  const auto members = checkpoints(5, 1000, 0.02, 19);
  Floats out(1000);
  weighted_mean(pointers(members), std::vector<double>(5, 0.5), 1000, Rounding::float32, out.data());
  EXPECT_TRUE(test::same_bits(out, mean_of(members)));
}

}  // namespace
}  // namespace lawa
