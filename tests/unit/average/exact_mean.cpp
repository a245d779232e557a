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
constexpr float infinity = std::numeric_limits<float>::infinity(), largest = std::numeric_limits<float>::max();
constexpr Rounding both[] = {Rounding::float32, Rounding::bfloat16};

reference::Grain grain(Rounding rounding) { return rounding == Rounding::float32 ? reference::float32 : reference::bfloat16; }
const char* name(Rounding rounding) { return rounding == Rounding::float32 ? "float32" : "bfloat16"; }

std::vector<const float*> pointers(const std::vector<Floats>& members) {
  std::vector<const float*> data;
  for (const Floats& member : members) data.push_back(member.data());
  return data;
}

/// The means of the first so many members, in one walk.
std::vector<Floats> means_of_first(const std::vector<int64_t>& counts, const std::vector<Floats>& members, Rounding rounding) {
  std::vector<Floats> out(counts.size(), Floats(members[0].size(), test::not_a_number));
  std::vector<MeanOfFirst> wanted;
  for (size_t i = 0; i < counts.size(); ++i) wanted.push_back({counts[i], out[i].data()});
  uniform_means(pointers(members), wanted, std::ssize(members[0]), rounding);
  return out;
}
Floats mean_of(const std::vector<Floats>& members, Rounding rounding = Rounding::float32) {
  return means_of_first({std::ssize(members)}, members, rounding)[0];
}

Floats weighted_mean_of(const std::vector<Floats>& members, const std::vector<double>& weights,
                        Rounding rounding = Rounding::float32) {
  Floats out(members[0].size(), test::not_a_number);
  weighted_mean(pointers(members), weights, std::ssize(out), rounding, out.data());
  return out;
}

/// Element by element: of(the i-th element of the first `count` members).
template <class Mean>
Floats by_element(const std::vector<Floats>& members, int64_t count, Mean&& of) {
  Floats out, column(static_cast<size_t>(count));
  for (size_t i = 0; i < members[0].size(); ++i) {
    for (size_t j = 0; j < column.size(); ++j) column[j] = members[j][i];
    out.push_back(of(column));
  }
  return out;
}
Floats reference_mean(const std::vector<Floats>& members, int64_t count, Rounding rounding) {
  return by_element(members, count, [&](const Floats& column) { return reference::mean(column, grain(rounding)); });
}
Floats reference_mean(const std::vector<Floats>& members, Rounding rounding) {
  return reference_mean(members, std::ssize(members), rounding);
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

/// Finite floats of any size, every bit random.
Floats any_floats(int64_t size, uint64_t seed) {
  Floats x;
  for (uint64_t i = 0; i < static_cast<uint64_t>(size); ++i) {
    const auto bits = static_cast<uint32_t>(random_bits(seed, RandomStream::test, i));
    const auto number = std::bit_cast<float>(bits);
    x.push_back(std::isfinite(number) ? number : std::bit_cast<float>(bits ^ (1u << 30)));
  }
  return x;
}

TEST(UniformMeans, AreNearestToTheExactMeansForEveryCountOfOneWalk) {
  std::vector<int64_t> counts{1};  // one of them twice
  for (int64_t count = 1; count <= 20; ++count) counts.push_back(count);
  const auto members = checkpoints(20, 2001, 0.02, 100);  // the last block of elements isn't full
  for (const Rounding rounding : both) {
    const auto means = means_of_first(counts, members, rounding);
    for (size_t i = 0; i < counts.size(); ++i)
      EXPECT_TRUE(test::same_bits(means[i], reference_mean(members, counts[i], rounding))) << counts[i] << " " << name(rounding);
  }
}

TEST(UniformMeans, AreExactWhereFloat64IsNot) {
  for (const Rounding rounding : both)
    for (const double spread : {10.0, 20.0, 30.0}) {
      const auto members = checkpoints(5, 10'001, 0.02, 7, spread);
      const Floats expected = reference_mean(members, rounding);
      EXPECT_TRUE(test::same_bits(mean_of(members, rounding), expected)) << spread << " " << name(rounding);
    }
  EXPECT_EQ(mean_of({{1e20f}, {1.0f}, {-1e20f}})[0], 1.0f / 3);
  EXPECT_EQ(mean_of({{1.0f}, {1 + 0x1p-23f}, {0x1p-60f}, {0.0f}})[0], 0.5f + 0x1p-24f) << "just above the middle";
}

/// Numbers and their neighbours away from zero: the mean of the two is a tie.
struct Neighbours {
  Floats low, high, even;

  explicit Neighbours(Rounding rounding) {
    for (const float x : test::normals(1000, 23, 0.02)) {
      const uint32_t bits = std::bit_cast<uint32_t>(x) / grain(rounding) * grain(rounding);
      low.push_back(std::bit_cast<float>(bits));
      high.push_back(std::bit_cast<float>(bits + grain(rounding)));
      even.push_back(bits / grain(rounding) % 2 == 0 ? low.back() : high.back());
    }
  }
};

TEST(UniformMeans, OfTiesAreEven) {
  for (const Rounding rounding : both) {
    const Neighbours tie(rounding);
    for (const size_t count : {2u, 6u, 10u, 98u}) {  // times 1/98 would be no tie
      std::vector<Floats> members(count, tie.low);
      std::fill_n(members.begin(), count / 2, tie.high);
      EXPECT_TRUE(test::same_bits(mean_of(members, rounding), tie.even)) << count << " " << name(rounding);
    }
  }
}

/// Powers of two with the signs of x, smaller by so many binary digits, down to the smallest denormal.
Floats smaller(const Floats& x, int digits) {
  Floats powers;
  for (const float element : x) {
    const int exponent = std::max(std::ilogb(element) - digits, -149);
    powers.push_back(std::ldexp(std::copysign(1.0f, element), exponent));
  }
  return powers;
}
Floats times(float factor, Floats x) {
  for (float& element : x) element *= factor;
  return x;
}

// Three of each neighbour among six, and a nudge: float64 still notices 2^-50, and a sixth of the smallest denormal is only what
// an integer division leaves over.
TEST(UniformMeans, OfNearTiesFollowTheSmallestMember) {
  for (const Rounding rounding : both) {
    const Neighbours tie(rounding);
    std::vector<Floats> members{tie.low, tie.high, times(2, tie.low), times(2, tie.high), {}, Floats(tie.low.size(), 0.0f)};
    for (const int digits : {25, 50, 60, 100, 149}) {
      members[4] = smaller(tie.low, digits);
      EXPECT_TRUE(test::same_bits(mean_of(members, rounding), tie.high)) << digits << " " << name(rounding);
      members[4] = times(-1, members[4]);
      EXPECT_TRUE(test::same_bits(mean_of(members, rounding), tie.low)) << digits << " " << name(rounding);
    }
  }
}

TEST(UniformMeans, KeepDenormals) {
  for (const Rounding rounding : both)
    for (const double deviation : {1e-38, 1e-39, 1e-41, 1e-44})
      for (const size_t count : {2u, 5u, 6u}) {
        const auto members = checkpoints(count, 500, deviation, 3);
        const Floats expected = reference_mean(members, rounding);
        EXPECT_TRUE(test::same_bits(mean_of(members, rounding), expected)) << deviation << " " << name(rounding);
      }
}

/// No float is nearer to sum / count, and none as near is even instead. The sum must be exact.
bool is_nearest(float mean, long double sum, long double count) {
  const auto distance = [&](float x) { return std::abs(count * static_cast<long double>(x) - sum); };
  const bool even = std::bit_cast<uint32_t>(mean) % 2 == 0;
  const auto beats = [&](float other) { return distance(mean) < distance(other) || (even && distance(mean) == distance(other)); };
  return beats(std::nextafter(mean, infinity)) && beats(std::nextafter(mean, -infinity));
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

TEST(UniformMeans, DoNotDependOnTheOrderOfTheMembers) {
  auto members = checkpoints(6, 5000, 0.02, 9, 30);
  const Floats first = mean_of(members);
  std::ranges::reverse(members);
  std::swap(members[1], members[4]);
  EXPECT_TRUE(test::same_bits(mean_of(members), first));
}

TEST(UniformMeans, KeepTheSignOfZero) {
  for (const Rounding rounding : both) {
    EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, 0.0f}}, rounding), Floats{-0.0f, 0.0f}));
    EXPECT_TRUE(test::same_bits(mean_of({{-0.0f, -0.0f, 1}, {-0.0f, 0.0f, -1}}, rounding), Floats{-0.0f, 0.0f, 0.0f}));
    EXPECT_TRUE(test::same_bits(mean_of({{-0x1p-149f}, {0}, {0}}, rounding), Floats{-0.0f})) << "too small to be kept";
  }
}

TEST(UniformMeans, OverflowOnlyWhereBfloat16EndsEarlier) {
  EXPECT_EQ(mean_of({{largest}, {largest}, {largest}})[0], largest);
  EXPECT_EQ(mean_of({{largest}, {largest}, {largest}}, Rounding::bfloat16)[0], infinity);
  EXPECT_EQ(mean_of({{-largest}, {-largest}, {0}, {0}}, Rounding::bfloat16)[0], -0x1p127f) << "inside the range, it stays there";
}

TEST(UniformMeans, PassOnWhatIsNotFinite) {
  for (const Rounding rounding : both) {
    const Floats mean = mean_of({{infinity, infinity, test::not_a_number, -infinity}, {1, -infinity, 1, -1}}, rounding);
    EXPECT_EQ(mean[0], infinity);
    EXPECT_TRUE(std::isnan(mean[1]) && std::isnan(mean[2]));
    EXPECT_EQ(mean[3], -infinity);
  }
}

// All bits set is what erased or unwritten memory holds; rounding up must not carry out of it.
TEST(Means, OfEveryNotANumberAreNotANumber) {
  for (const uint32_t bits : {0x7fc00000u, 0x7f800001u, 0x7fffffffu, 0xffffffffu})
    for (const Rounding rounding : both) {
      const std::vector<Floats> members{{std::bit_cast<float>(bits)}, {1.0f}};
      EXPECT_TRUE(std::isnan(mean_of(members, rounding)[0])) << std::hex << bits << " " << name(rounding);
      EXPECT_TRUE(std::isnan(weighted_mean_of(members, {1, 2}, rounding)[0])) << std::hex << bits << " " << name(rounding);
    }
}

TEST(UniformMeans, RoundToBfloat16AtOnce) {
  EXPECT_EQ(mean_of({{1 + 0x1p-8f}, {1 + 0x1p-8f}, {1 + 0x1p-8f + 0x1p-23f}}, Rounding::bfloat16)[0], 1 + 0x1p-7f)
      << "rounded to float32 first, it would be a tie and go down";
}

/// To 11 digits, and no finer than 2^-24; from a quotient that a long double holds to 64 digits.
Floats means_in_float16(const std::vector<Floats>& members) {
  return by_element(members, std::ssize(members), [](const Floats& column) {
    long double sum = 0;
    for (const float x : column) sum += static_cast<long double>(x);
    const long double mean = sum / static_cast<long double>(column.size());
    const long double unit = std::ldexp(1.0L, std::max(mean == 0 ? -14 : std::ilogb(mean), -14) - 10);
    return static_cast<float>(std::copysign(std::nearbyint(mean / unit) * unit, mean));
  });
}

TEST(UniformMeans, RoundToFloat16AtOnceAmongDenormalsToo) {
  for (const double deviation : {1000.0, 0.02, 1e-4, 1e-6, 1e-8})
    for (const size_t count : {1u, 2u, 3u, 6u}) {
      const auto members = checkpoints(count, 5000, deviation, 41);
      EXPECT_TRUE(test::same_bits(mean_of(members, Rounding::float16), means_in_float16(members))) << deviation << " " << count;
      EXPECT_TRUE(test::same_bits(weighted_mean_of(members, std::vector<double>(count, 1.0), Rounding::float16), means_in_float16(members)));
    }
  EXPECT_EQ(mean_of({{1 + 0x1p-11f, 0x1p-25f, 0x3p-25f, -0x1p-26f}, {1 + 0x1p-11f + 0x1p-23f, 0x1p-25f, 0x3p-25f, 0}}, Rounding::float16),
            (Floats{1 + 0x1p-10f, 0.0f, 0x1p-23f, -0.0f}));
  const Floats ends = mean_of({{65504, 65519, 65520, -1e30f, infinity}}, Rounding::float16);
  EXPECT_TRUE(ends[0] == 65504 && ends[1] == 65504);
  EXPECT_TRUE(ends[2] > 65504 && ends[3] < -65504 && ends[4] == infinity) << "beyond the largest, which who writes them refuses";
}

// The way of the few elements that float64 can't do, taken by all.
TEST(ExactMean, IsTheReferenceForNumbersOfAnySize) {
  std::vector<Floats> any, similar = checkpoints(7, 2000, 0.02, 29, 4);
  for (uint64_t j = 0; j < 7; ++j) any.push_back(any_floats(2000, 31 + j));
  for (const auto& members : {any, similar})
    for (const Rounding rounding : both)
      for (const int64_t count : {1, 2, 3, 6, 7}) {
        const Floats found = by_element(members, count, [&](const Floats& column) { return exact_mean(column, rounding); });
        const Floats expected = reference_mean(members, count, rounding);
        EXPECT_EQ(found, expected) << count << " " << name(rounding);
        EXPECT_TRUE(test::same_bits(means_of_first({count}, members, rounding)[0], expected)) << count << " " << name(rounding);
      }
}

// What is left of members that cancel is their rounding errors: no product and sum in one, no other order goes unnoticed.
TEST(WeightedMean, IsAPlainLoopInTheOrderOfTheMembers) {
  auto members = checkpoints(2, 1001, 0.02, 17);
  members.insert(members.end(), {times(-1, members[0]), times(-1, members[1])});
  const std::vector<double> weights{0.1, 0.7, 0.1, 0.7};
  const Floats expected = by_element(members, 4, [&](const Floats& column) {
    volatile double sum = 0;
    for (size_t j = 0; j < 4; ++j) {
      volatile const double product = weights[j] * static_cast<double>(column[j]);
      sum = sum + product;
    }
    return static_cast<float>(sum / (0.1 + 0.7 + 0.1 + 0.7));
  });
  EXPECT_GT(std::ranges::count_if(expected, [](float x) { return x != 0; }), 100);
  EXPECT_TRUE(test::same_bits(weighted_mean_of(members, weights), expected));
}

TEST(WeightedMean, DividesByTheWeightsSum) {
  const Neighbours tie(Rounding::float32);
  EXPECT_TRUE(test::same_bits(weighted_mean_of({tie.low, tie.high}, {24.5, 24.5}), tie.even)) << "times 1/49 is no tie";
}

TEST(WeightedMean, DoesNotKnowTheScaleOfItsWeights) {
  const auto members = checkpoints(3, 1000, 0.02, 37);
  const Floats once = weighted_mean_of(members, {0.1, 0.7, 1.3});
  for (const double scale : {0x1p-30, 2.0, 0x1p40})
    EXPECT_TRUE(test::same_bits(weighted_mean_of(members, {scale * 0.1, scale * 0.7, scale * 1.3}), once)) << scale;
}

TEST(WeightedMean, WithEqualWeightsIsTheUniformOne) {
  const auto members = checkpoints(5, 1000, 0.02, 19);
  for (const Rounding rounding : both)
    EXPECT_TRUE(test::same_bits(weighted_mean_of(members, std::vector<double>(5, 1.0), rounding), mean_of(members, rounding)));
}

TEST(WeightedMean, RoundsOnce) {
  const std::vector<Floats> any{any_floats(5000, 41)};
  for (const Rounding rounding : both)
    EXPECT_TRUE(test::same_bits(weighted_mean_of(any, {0.25}, rounding), reference_mean(any, rounding))) << name(rounding);
  EXPECT_EQ(weighted_mean_of({{1 + 0x1p-8f}, {1 + 0x1p-8f + 0x1p-23f}}, {2, 1}, Rounding::bfloat16)[0], 1 + 0x1p-7f)
      << "rounded to float32 first, it would be a tie and go down";
}

TEST(WeightedMean, KeepsTheSignOfZero) {
  EXPECT_TRUE(test::same_bits(weighted_mean_of({{-0.0f, -0.0f}, {-0.0f, 0.0f}}, {1, 2}), Floats{-0.0f, 0.0f}));
}

}  // namespace
}  // namespace lawa
