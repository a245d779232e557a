// Many averages in one walk: what is read, held and written, and that the results are those of each average alone.
#include "average/streamed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "support/fixtures.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using testing::ElementsAre;
using Steps = std::vector<int64_t>;

Steps first_steps(int64_t n) {
  Steps steps(static_cast<size_t>(n));
  std::iota(steps.begin(), steps.end(), 1);
  return steps;
}

constexpr int64_t size = 1000;
std::vector<float> checkpoint(int64_t step) { return test::normals(size, static_cast<uint64_t>(step), 0.02); }

/// Makes a plan's averages in pieces; counts how often each element of each checkpoint is read.
struct Walk {
  std::vector<std::vector<float>> made;
  std::map<int64_t, int64_t> read;

  Walk(const std::vector<Average>& plan, int64_t piece) : made(plan.size(), std::vector<float>(size, test::not_a_number)) {
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) {
                              read[step] += range.size();
                              const auto values = checkpoint(step);
                              std::copy_n(values.begin() + range.begin, range.size(), out.begin());
                            },
                            [&](size_t i, Range range, std::span<const float> values) {
                              std::ranges::copy(values, made[i].begin() + range.begin);
                            }};
    for (int64_t begin = 0; begin < size; begin += piece)
      average_piece(plan, averaging_order(plan), {begin, std::min(begin + piece, size)}, Rounding::float32, io);
  }
};

/// One average alone, from whole checkpoints.
std::vector<float> alone(const Average& average) {
  std::vector<std::vector<float>> values;
  std::vector<const float*> members;
  std::vector<double> weights;
  for (const Member& member : average.members) {
    values.push_back(checkpoint(member.step));
    weights.push_back(member.weight);
  }
  for (const auto& member : values) members.push_back(member.data());
  std::vector<float> out(size);
  const std::vector<MeanOfFirst> wanted{{std::ssize(members), out.data()}};
  if (average.uniform()) uniform_means(members, wanted, size, Rounding::float32);
  else weighted_mean(members, weights, size, Rounding::float32, out.data());
  return out;
}

TEST(AveragePiece, MakesEveryAverageOfAGridAndReadsEachCheckpointOnce) {
  const auto plan = averaging_plan({.window = {1, 2, 3, 5}, .stride = {1, 2}}, first_steps(9));
  for (const int64_t piece : {1000, 256, 7}) {
    const Walk walk(plan, piece);
    for (size_t i = 0; i < plan.size(); ++i) EXPECT_TRUE(test::same_bits(walk.made[i], alone(plan[i]))) << i << " in pieces of " << piece;
    EXPECT_EQ(walk.read.size(), 9u);
    for (const auto& [step, elements] : walk.read) EXPECT_EQ(elements, size) << step;
  }
}

TEST(AveragePiece, MakesEveryScheme) {
  for (const char* scheme : {"sliding", "tumbling", "lawa_released", "swa", "ema", "linear", "1-sqrt"}) {
    const auto plan = averaging_plan({.scheme = scheme, .window = {3}}, first_steps(8));
    const Walk walk(plan, 300);
    for (size_t i = 0; i < plan.size(); ++i) EXPECT_TRUE(test::same_bits(walk.made[i], alone(plan[i]))) << scheme << " " << i;
  }
}

TEST(AveragePiece, ReadsOnlyWhatIsNeeded) {
  const Walk walk(averaging_plan({.window = {2}, .at = {4}}, first_steps(9)), size);
  EXPECT_EQ(walk.read.size(), 2u);
  EXPECT_TRUE(walk.read.contains(3) && walk.read.contains(4));
}

TEST(AveragingOrder, HoldsACheckpointUntilItsLastUse) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {3}}, first_steps(5)));
  ASSERT_EQ(order.stops.size(), 5u);
  EXPECT_THAT(order.stops[2].not_needed_any_more, ElementsAre(1));
  EXPECT_THAT(order.stops[4].not_needed_any_more, ElementsAre(3, 4, 5));
  EXPECT_EQ(order.most_checkpoints, 3);
  EXPECT_EQ(order.most_averages, 1);
  EXPECT_EQ(order.bytes(10), 160);
}

TEST(AveragingOrder, NestsTheWindowsThatEndTogether) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {2, 3, 5}, .stride = {1, 2}}, first_steps(10)));
  const auto& last = order.stops.back().complete;
  ASSERT_EQ(last.size(), 2u) << "one walk a stride";
  EXPECT_EQ(last[0].averages.size(), 3u);
  EXPECT_EQ(last[1].averages.size(), 3u);
  EXPECT_EQ(order.most_checkpoints, 7) << "in the end 6 to 10 for the narrow stride, and 2 and 4 for the wide one";
}

TEST(PieceElements, KeepTheBudgetInWholeUnits) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {4}}, first_steps(9)));
  EXPECT_EQ(piece_elements(order, 20 * 10'000, 4096, 1 << 20), 8192);
  EXPECT_LE(order.bytes(8192), 200'000);
  EXPECT_EQ(piece_elements(order, 1, 4096, 1 << 20), 4096) << "never less than a unit";
  EXPECT_EQ(piece_elements(order, 1 << 30, 4096, 1 << 16), 1 << 16);
}

}  // namespace
}  // namespace lawa
