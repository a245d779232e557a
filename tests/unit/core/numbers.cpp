// Random numbers, ranges, and numbers as people read them.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "core/json.hpp"
#include "core/log.hpp"
#include "core/philox.hpp"
#include "core/range.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"

namespace lawa {
namespace {

// Random123's known answers for philox4x32-10: Salmon et al. 2011.
static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
              PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

TEST(Philox, DiffersInEveryBitOfSeedStreamAndIndex) {
  const auto block = [](uint64_t seed, RandomStream stream, uint64_t index) { return random_block(seed, stream, index); };
  const PhiloxBlock first = block(0, RandomStream::test, 0);
  EXPECT_NE(block(0, RandomStream::weights, 0), first);
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_NE(block(uint64_t{1} << bit, RandomStream::test, 0), first) << "bit " << bit << " of the seed";
    EXPECT_NE(block(0, RandomStream::test, uint64_t{1} << bit), first) << "bit " << bit << " of the index";
  }
}

TEST(Philox, BitsAreUniform) {
  constexpr int draws = 16'000;
  std::array<int, 16> low{}, high{};
  for (uint64_t i = 0; i < draws; ++i) {
    const uint64_t bits = random_bits(3, RandomStream::test, i);
    ++low[bits % 16];
    ++high[bits >> 60];
  }
  for (const auto& counts : {low, high}) {
    double chi_squared = 0;
    for (const int count : counts) chi_squared += std::pow(count - draws / 16, 2) / (draws / 16);
    EXPECT_LT(chi_squared, 40);  // 15 degrees of freedom: one seed in 2000 is above
    EXPECT_GT(chi_squared, 3);   // and one in 3000 below
  }
}

TEST(Philox, UniformNumbersStayInsideTheOpenInterval) {
  EXPECT_GT(open_uniform(0), 0);
  EXPECT_LT(open_uniform(0xffffffff), 1);
  EXPECT_DOUBLE_EQ(open_uniform(0x80000000) - 0.5, 0x1p-33);
}

/// mean(f(i)) over i < n, in units of the deviation that it has for independent numbers of variance `variance`.
template <class F>
double deviations(int n, double expected, double variance, F&& f) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += f(static_cast<uint64_t>(i));
  return (sum / n - expected) / std::sqrt(variance / n);
}

TEST(Normal, HasTheMomentsOfTheNormalDistribution) {
  constexpr int n = 100'000;
  const auto x = [](uint64_t i) { return random_normal(5, RandomStream::test, i); };
  EXPECT_LT(std::abs(deviations(n, 0, 1, x)), 4);
  EXPECT_LT(std::abs(deviations(n, 1, 2, [&](uint64_t i) { return std::pow(x(i), 2); })), 4);
  EXPECT_LT(std::abs(deviations(n, 0, 15, [&](uint64_t i) { return std::pow(x(i), 3); })), 4);
  EXPECT_LT(std::abs(deviations(n, 3, 96, [&](uint64_t i) { return std::pow(x(i), 4); })), 4);
}

TEST(Normal, NeighboursAreIndependent) {
  constexpr int n = 50'000;  // lags 1 to 4: four neighbours share one Philox block
  const auto x = [](uint64_t i) { return random_normal(6, RandomStream::test, i); };
  for (uint64_t lag = 1; lag <= 4; ++lag) {
    EXPECT_LT(std::abs(deviations(n, 0, 1, [&](uint64_t i) { return x(i) * x(i + lag); })), 4) << lag;
    EXPECT_LT(std::abs(deviations(n, 1, 12, [&](uint64_t i) { return std::pow(x(i) * x(i + lag), 2); })), 4) << lag;
  }
}

TEST(Range, IntersectionsAreWhatLiesInBoth) {
  EXPECT_EQ(intersect({2, 7}, {5, 9}), (Range{5, 7}));
  EXPECT_EQ(intersect({0, 10}, {3, 4}), (Range{3, 4}));
  EXPECT_TRUE(intersect({0, 3}, {3, 5}).empty());
  EXPECT_EQ(intersect({8, 9}, {1, 2}).size(), 0) << "never negative";
}

TEST(Range, SplitCoversEverythingOnceInNearlyEqualParts) {
  for (const int64_t size : {0, 1, 6, 7, 8, 1000, 1001})
    for (const int64_t parts : {1, 2, 3, 7, 64}) {
      int64_t at = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Range part = split(size, i, parts);
        EXPECT_EQ(part.begin, at);
        EXPECT_GE(part.size(), size / parts);
        EXPECT_LE(part.size(), (size + parts - 1) / parts);
        at = part.end;
      }
      EXPECT_EQ(at, size);
    }
}

TEST(Json, KeepsTheOrderOfItsKeys) {
  Json json = {{"step", 1}, {"loss", 0.1}, {"after", true}};
  json["again"] = "text";
  EXPECT_EQ(json.dump(), R"({"step":1,"loss":0.1,"after":true,"again":"text"})");
  EXPECT_EQ(Json::parse(json.dump()).dump(), json.dump());
}

TEST(Log, DurationsAndSizesAreReadable) {
  EXPECT_EQ(duration(0), "0:00");
  EXPECT_EQ(duration(59.4), "0:59");
  EXPECT_EQ(duration(59.6), "1:00");
  EXPECT_EQ(duration(245), "4:05");
  EXPECT_EQ(duration(3599.7), "1:00:00");
  EXPECT_EQ(duration(100 * 3600 + 62), "100:01:02");
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(512e3), "512 kB");
  EXPECT_EQ(bytes_text(1.4e9), "1.4 GB");
  EXPECT_EQ(bytes_text(999.9e6), "1 GB");
}

/// What goes to stderr while a log that is enabled or not is used.
std::string printed(bool enabled) {
  testing::internal::CaptureStderr();
  {
    Log log(enabled);
    log.line("begins");
    log.progress(1, 3, "first");
    log.progress(2, 3, "too soon to be worth a line");
    log.progress(3, 3, "last");
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Log, PrintsLinesNowAndThenAndAlwaysTheLast) { EXPECT_EQ(printed(true), "begins\n1/3  first\n3/3  last\n"); }
TEST(Log, PrintsNothingWhenDisabled) { EXPECT_EQ(printed(false), ""); }

TEST(Log, MovesOneLineWhereItIsAskedTo) {
  ASSERT_EQ(::setenv("LAWA_PROGRESS", "line", 1), 0);
  EXPECT_EQ(printed(true), "begins\n\r\033[K\033[?7l1/3  first\033[?7h\r\033[K3/3  last\n");
  ::setenv("LAWA_PROGRESS", "lines", 1);
  EXPECT_EQ(printed(true), "begins\n1/3  first\n3/3  last\n");
  ::setenv("LAWA_PROGRESS", "yes", 1);
  EXPECT_EQ(test::error_of([] { Log log(false); }), "LAWA_PROGRESS: yes must be line (one that moves) or lines (plain ones)");
  ::unsetenv("LAWA_PROGRESS");
}

}  // namespace
}  // namespace lawa
