// Which sequences are read when: a pure function, whoever asks.
#include "data/batch_plan.hpp"

#include <gtest/gtest.h>

#include "core/philox.hpp"
#include "support/errors.hpp"

namespace lawa {
namespace {

constexpr int64_t windows = 1000;

/// The windows of a step in the order of the ranks.
std::vector<int64_t> sequences(uint64_t seed, int64_t step, int64_t global, int64_t micro, int ranks) {
  std::vector<int64_t> all;
  for (int r = 0; r < ranks; ++r)
    for (const auto& batch : BatchPlan(seed, global, micro, windows, r, ranks).micro_batches((step - 1) * global))
      all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

TEST(BatchPlan, IsTheRandomStreamIndexedBySequence) {
  constexpr int64_t global = 6;
  for (const int64_t step : std::vector<int64_t>{1, 2, 1000, 3'000'000'000}) {
    std::vector<int64_t> expected;
    for (int64_t i = 0; i < global; ++i) {
      const auto index = static_cast<uint64_t>((step - 1) * global + i);
      expected.push_back(static_cast<int64_t>(random_bits(5, RandomStream::batches, index) % windows));
    }
    EXPECT_EQ(sequences(5, step, global, global, 1), expected) << step;
  }
}

TEST(BatchPlan, DoesNotDependOnRanksOrMicroBatches) {
  for (const int64_t global : {1, 3, 12, 13})
    for (const int64_t step : {1, 2, 77}) {
      const auto expected = sequences(5, step, global, global, 1);
      for (int ranks = 1; ranks <= 5; ++ranks)
        for (int64_t micro = 1; micro <= 5; ++micro) EXPECT_EQ(sequences(5, step, global, micro, ranks), expected);
    }
}

TEST(BatchPlan, MicroBatchesAreFullExceptTheLast) {
  for (int r = 0; r < 3; ++r) {
    const auto batches = BatchPlan(5, 22, 3, windows, r, 3).micro_batches(66);  // 7, 7 and 8 sequences
    ASSERT_EQ(batches.size(), 3u);
    EXPECT_EQ(batches[0].size(), 3u);
    EXPECT_EQ(batches[1].size(), 3u);
    EXPECT_EQ(batches[2].size(), r < 2 ? 1u : 2u);
  }
}

TEST(BatchPlan, RanksMayHaveNothingToDo) {
  std::vector<size_t> micro_batches;
  for (int r = 0; r < 5; ++r) micro_batches.push_back(BatchPlan(5, 2, 4, windows, r, 5).micro_batches(0).size());
  EXPECT_EQ(std::ranges::count(micro_batches, 0u), 3);
  EXPECT_EQ(std::ranges::count(micro_batches, 1u), 2);
}

TEST(BatchPlan, ForgetsNothingAndRemembersNothing) {
  const BatchPlan plan(5, 12, 4, windows, 1, 2);
  const auto third = plan.micro_batches(3);
  EXPECT_NE(plan.micro_batches(1), third);
  EXPECT_EQ(plan.micro_batches(3), third) << "steps may be asked for in any order";
  EXPECT_NE(BatchPlan(6, 12, 4, windows, 1, 2).micro_batches(3), third) << "another seed";
}

TEST(BatchPlan, ReachesEveryWindowAndNoOther) {
  std::vector<int> read(7, 0);
  const auto batches = BatchPlan(5, 100, 100, std::ssize(read), 0, 1).micro_batches(1);
  for (const int64_t window : batches.at(0)) ++read.at(static_cast<size_t>(window));
  EXPECT_EQ(std::ranges::count(read, 0), 0);
}

TEST(BatchPlan, OfNothingIsRefused) {
  EXPECT_NE(test::error_of([] { BatchPlan(1, 0, 1, 1, 0, 1); }), "no error");
  EXPECT_NE(test::error_of([] { BatchPlan(1, 1, 0, 1, 0, 1); }), "no error");
  EXPECT_NE(test::error_of([] { BatchPlan(1, 1, 1, 0, 0, 1); }), "no error");
}

}  // namespace
}  // namespace lawa
