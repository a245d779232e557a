// Many averages in one walk: what is read, held and written, and that the results are those of each average alone.
#include "average/streamed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/fixtures.hpp"
#include "support/near.hpp"
#include "support/steps.hpp"

namespace lawa {
namespace {

using test::first_steps;
using testing::Each;
using testing::ElementsAre;
using testing::Key;
using testing::Pair;
using Floats = std::vector<float>;

constexpr int64_t size = 1000;
/// The weights of a step; made once.
const Floats& checkpoint(int64_t step) {
  static std::map<int64_t, Floats> made;
  Floats& values = made[step];
  if (values.empty()) values = test::normals(size, static_cast<uint64_t>(step), 0.02);
  return values;
}

/// Makes a plan's averages in pieces; counts the elements of each checkpoint that are read, and of each average that are written.
struct Walk {
  std::vector<Floats> made;
  std::map<int64_t, int64_t> read;
  std::vector<int64_t> written;
  std::set<const float*> buffers;

  Walk(const std::vector<Average>& plan, int64_t piece, Rounding rounding = Rounding::float32)
      : made(plan.size(), Floats(size, test::not_a_number)), written(plan.size()) {
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) {
                              EXPECT_EQ(std::ssize(out), range.size());
                              read[step] += range.size();
                              buffers.insert(out.data());
                              std::copy_n(checkpoint(step).begin() + range.begin, range.size(), out.begin());
                            },
                            [&](size_t i, Range range, std::span<const float> values) {
                              EXPECT_EQ(std::ssize(values), range.size());
                              written[i] += range.size();
                              buffers.insert(values.data());
                              std::ranges::copy(values, made[i].begin() + range.begin);
                            }};
    const AveragingOrder order = averaging_order(plan);
    for (int64_t begin = 0; begin < size; begin += piece)
      average_piece(plan, order, {begin, std::min(begin + piece, size)}, rounding, io);
  }
};

/// One average alone, from whole checkpoints.
Floats alone(const Average& average, Rounding rounding = Rounding::float32) {
  std::vector<const float*> members;
  std::vector<double> weights;
  for (const Member& member : average.members) {
    members.push_back(checkpoint(member.step).data());
    weights.push_back(member.weight);
  }
  Floats out(size);
  const std::vector<MeanOfFirst> wanted{{std::ssize(members), out.data()}};
  if (average.uniform()) uniform_means(members, wanted, size, rounding);
  else weighted_mean(members, weights, size, rounding, out.data());
  return out;
}

void expect_each_alone(const std::vector<Average>& plan, const Walk& walk, Rounding rounding = Rounding::float32) {
  for (size_t i = 0; i < plan.size(); ++i)
    EXPECT_TRUE(test::same_bits(walk.made[i], alone(plan[i], rounding)))
        << i << ": " << plan[i].members.size() << " up to step " << plan[i].step();
}

std::vector<Average> joined(const std::vector<AveragingConfig>& configs, int64_t steps) {
  std::vector<Average> all;
  for (const AveragingConfig& config : configs)
    std::ranges::copy(averaging_plan(config, first_steps(steps)), std::back_inserter(all));
  return all;
}

TEST(AveragePiece, ReadsEachCheckpointOfAGridOnceAndWritesEachAverageOnce) {
  const auto plan = averaging_plan({.window = {1, 2, 3, 5}, .stride = {1, 2}}, first_steps(9));
  for (const int64_t piece : {1000, 999, 256, 7, 1}) {
    SCOPED_TRACE(piece);
    const Walk walk(plan, piece);
    expect_each_alone(plan, walk);
    EXPECT_EQ(walk.read.size(), 9u);
    EXPECT_THAT(walk.read, Each(Pair(testing::_, size)));
    EXPECT_THAT(walk.written, Each(size));
  }
}

TEST(AveragePiece, HoldsNoMoreThanItsOrderSays) {
  const auto plan = averaging_plan({.window = {2, 5, 7}, .stride = {1, 2}}, first_steps(40));
  const AveragingOrder order = averaging_order(plan);
  EXPECT_LE(std::ssize(Walk(plan, size).buffers), order.most_checkpoints + order.most_averages);
}

TEST(AveragePiece, MakesEveryScheme) {
  for (const char* scheme : {"lawa", "tumbling", "lawa_released", "swa", "ema", "linear", "1-sqrt"}) {
    SCOPED_TRACE(scheme);
    const auto plan = averaging_plan({.scheme = scheme, .window = {3}}, first_steps(8));
    expect_each_alone(plan, Walk(plan, 300));
  }
}

// At the last step end averages of the same members with other weights, one that ends like a uniform one, and some twice.
TEST(AveragePiece, KeepsSchemesApartThatEndTogether) {
  const std::vector<AveragingConfig> configs{{.scheme = "weights", .window = {4}, .weights = {0, 0, 1, 1}},
                                             {.window = {2, 4, 4}},
                                             {.scheme = "linear", .window = {2, 4, 4}},
                                             {.scheme = "ema"},
                                             {.scheme = "swa"}};
  const auto plan = joined(configs, 8);
  for (const Rounding rounding : {Rounding::float32, Rounding::bfloat16}) {
    const Walk walk(plan, 300, rounding);
    expect_each_alone(plan, walk, rounding);
    EXPECT_THAT(walk.written, Each(size));
    EXPECT_THAT(walk.read, Each(Pair(testing::_, size)));
  }
}

TEST(AveragePiece, ReadsOnlyWhatIsNeeded) {
  const Walk walk(averaging_plan({.window = {2}, .at = {4, 9}}, first_steps(9)), size);
  EXPECT_THAT(walk.read, ElementsAre(Key(3), Key(4), Key(8), Key(9)));
}

TEST(AveragingOrder, HoldsACheckpointUntilItsLastUse) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {3}}, first_steps(5)));
  ASSERT_EQ(order.stops.size(), 5u);
  EXPECT_THAT(order.stops[1].not_needed_any_more, ElementsAre());
  EXPECT_THAT(order.stops[2].not_needed_any_more, ElementsAre(1));
  EXPECT_THAT(order.stops[4].not_needed_any_more, ElementsAre(3, 4, 5));
}

TEST(AveragingOrder, HoldsAsManyCheckpointsAsTheWindowHowManyEverThereAre) {
  for (const int64_t k : {1, 2, 5, 20})
    for (const int64_t n : {20, 60}) {
      const AveragingOrder order = averaging_order(averaging_plan({.window = {k}}, first_steps(n)));
      EXPECT_EQ(order.most_checkpoints, k) << n;
      EXPECT_EQ(order.most_averages, 1) << n;
      EXPECT_EQ(order.bytes(10), 40 * (k + 1)) << n;
    }
}

TEST(AveragingOrder, ReadsEachNeededCheckpointOnceAndReleasesIt) {
  const auto plan =
      joined({{.window = {2, 3}, .stride = {1, 3}, .at = {9, 12}}, {.scheme = "linear", .window = {2}, .at = {4}}}, 12);
  std::set<int64_t> needed, held;
  for (const Average& average : plan)
    for (const Member& member : average.members) needed.insert(member.step);
  std::vector<int64_t> read;
  for (const AveragingOrder::Stop& stop : averaging_order(plan).stops) {
    read.push_back(stop.step);
    held.insert(stop.step);
    for (const NestedAverages& group : stop.complete)
      for (const size_t i : group.averages)
        for (const Member& member : plan[i].members)
          EXPECT_TRUE(held.contains(member.step)) << member.step << " for " << stop.step;
    for (const int64_t step : stop.not_needed_any_more) EXPECT_EQ(held.erase(step), 1u) << step;
  }
  EXPECT_EQ(read, std::vector<int64_t>(needed.begin(), needed.end()));
  EXPECT_TRUE(held.empty());
}

TEST(AveragingOrder, NestsTheWindowsThatEndTogether) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {5, 2, 3}, .stride = {1, 2}}, first_steps(10)));
  const auto& last = order.stops.back().complete;
  ASSERT_EQ(last.size(), 2u) << "one walk a stride";
  EXPECT_EQ(last[0].averages.size(), 3u);
  EXPECT_EQ(last[1].averages.size(), 3u);
  EXPECT_EQ(order.most_averages, 3);
  EXPECT_EQ(order.most_checkpoints, 7) << "in the end 6 to 10 for the narrow stride, and 2 and 4 for the wide one";
}

TEST(PieceElements, KeepTheBudgetInWholeUnits) {
  const AveragingOrder order = averaging_order(averaging_plan({.window = {4}}, first_steps(9)));
  EXPECT_EQ(piece_elements(order, 20 * 10'000, 4096, 1 << 20), 8192);
  EXPECT_EQ(piece_elements(order, 20 * 8192, 4096, 1 << 20), 8192) << "a budget may be used up";
  EXPECT_EQ(piece_elements(order, 20 * 8192 - 1, 4096, 1 << 20), 4096) << "not passed";
  EXPECT_EQ(order.bytes(8192), 20 * 8192);
  EXPECT_EQ(piece_elements(order, 1, 4096, 1 << 20), 4096) << "never less than a unit";
  EXPECT_EQ(piece_elements(order, 1 << 30, 4096, 1 << 16), 1 << 16);
}

}  // namespace
}  // namespace lawa
