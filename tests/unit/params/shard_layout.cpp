// Who owns what: the laws that every layout obeys, over many of them.
#include "params/shard_layout.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using Ends = std::vector<int64_t>;

/// Calls f(size, ranks, wanted ends) for sizes around block boundaries, more ranks than blocks among them.
template <class F>
void each_case(F&& f) {
  for (const int64_t size : {1, 4095, 4096, 4097, 12'288, 50'000, 200'003})
    for (const int ranks : {1, 2, 3, 4, 7, 16})
      for (const Ends& ends : {Ends{}, Ends{size}, Ends{1, 2, 3}, Ends{size / 3, size / 2, size}, Ends{4096, 8192, 16'384},
                               Ends{2 * size, 3 * size}, Ends{size / 2, size / 2}}) {
        SCOPED_TRACE(testing::Message() << size << " elements, " << ranks << " ranks, ends " << testing::PrintToString(ends));
        f(size, ranks, ends);
      }
}

TEST(ShardLayout, BucketsFollowEachOtherAndEndBetweenBlocksOfEveryRank) {
  each_case([](int64_t size, int ranks, const Ends& ends) {
    const ShardLayout layout(size, 0, ranks, ends);
    int64_t at = 0;
    for (int64_t i = 0; i < layout.buckets(); ++i) {
      EXPECT_EQ(layout.bucket(i).begin, at);
      EXPECT_GT(layout.bucket(i).size(), 0);
      EXPECT_EQ(layout.bucket(i).size() % (block_size * ranks), 0);
      at = layout.bucket(i).end;
    }
    EXPECT_EQ(layout.padded_size(), at);
    EXPECT_GE(at, size);
    EXPECT_LT(at - size, block_size * ranks) << "no more padding than needed";
  });
}

TEST(ShardLayout, EveryElementHasOneOwner) {
  each_case([](int64_t size, int ranks, const Ends& ends) {
    std::vector<int> owners(static_cast<size_t>(size), 0);
    int64_t total = 0;
    for (int r = 0; r < ranks; ++r) {
      const ShardLayout layout(size, r, ranks, ends);
      for (const auto& piece : layout.mine()) {
        ASSERT_GE(piece.range.begin, 0);
        ASSERT_LE(piece.range.end, size);
        for (int64_t i = piece.range.begin; i < piece.range.end; ++i) ++owners[static_cast<size_t>(i)];
      }
      total += layout.mine_size();
    }
    EXPECT_EQ(std::ranges::count(owners, 1), size);
    EXPECT_EQ(total, size);
  });
}

TEST(ShardLayout, PiecesAreWholeBlocksInOrderAndWithoutGapsInTheLocalBuffer) {
  each_case([](int64_t size, int ranks, const Ends& ends) {
    for (int r = 0; r < ranks; ++r) {
      int64_t at = 0, local = 0;
      for (const auto& piece : ShardLayout(size, r, ranks, ends).mine()) {
        EXPECT_FALSE(piece.range.empty());
        EXPECT_GE(piece.range.begin, at);
        EXPECT_EQ(piece.range.begin % block_size, 0);
        EXPECT_TRUE(piece.range.end % block_size == 0 || piece.range.end == size);
        EXPECT_EQ(piece.local, local) << "real elements are a prefix of the local buffer";
        at = piece.range.end;
        local += piece.range.size();
      }
    }
  });
}

TEST(ShardLayout, APieceIsWhatAReduceScatterOfItsBucketGivesTheRank) {
  each_case([](int64_t size, int ranks, const Ends& ends) {
    for (int r = 0; r < ranks; ++r) {
      const ShardLayout layout(size, r, ranks, ends);
      auto pieces = layout.mine();
      EXPECT_EQ(layout.local_size() * ranks, layout.padded_size());
      for (int64_t i = 0; i < layout.buckets(); ++i) {
        const Range full = layout.bucket(i), local = layout.local_bucket(i);
        EXPECT_EQ(local.size() * ranks, full.size()) << "equal slices";
        const int64_t begin = full.begin + r * local.size();
        const Range slice = intersect({begin, begin + local.size()}, {0, size});
        if (slice.empty()) continue;
        ASSERT_FALSE(pieces.empty());
        EXPECT_EQ(pieces.front().range, slice);
        EXPECT_EQ(pieces.front().local, local.begin);
        pieces.erase(pieces.begin());
      }
      EXPECT_TRUE(pieces.empty());
    }
  });
}

TEST(ShardLayout, AllRanksSeeTheSameOwners) {
  const Ends ends{20'000, 40'000};
  for (int r = 0; r < 3; ++r)
    for (int other = 0; other < 3; ++other) {
      const auto seen = ShardLayout(50'000, other, 3, ends).owned(r), mine = ShardLayout(50'000, r, 3, ends).mine();
      ASSERT_EQ(seen.size(), mine.size());
      for (size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(seen[i].range, mine[i].range);
    }
}

TEST(ShardLayout, BucketsEndAtTheFirstBoundaryFromWhereTheyAreWanted) {
  const ShardLayout layout(100'000, 0, 2, {1, 8192, 8193, 60'000});  // units of 8192
  Ends ends;
  for (int64_t i = 0; i < layout.buckets(); ++i) ends.push_back(layout.bucket(i).end);
  EXPECT_EQ(ends, (Ends{8192, 16'384, 65'536, 106'496}));
}

TEST(ShardLayout, OfNothingOrForNobodyIsRefused) {
  EXPECT_NE(test::error_of([] { ShardLayout(0, 0, 1); }), "no error");
  EXPECT_NE(test::error_of([] { ShardLayout(5, 3, 3); }), "no error");
  EXPECT_NE(test::error_of([] { ShardLayout(5, -1, 3); }), "no error");
}

}  // namespace
}  // namespace lawa
