// Where groups lie when a rank holds a few of them at a time.
#include "params/windows.hpp"

#include <gtest/gtest.h>

#include <set>

namespace lawa {
namespace {

/// A first group, blocks, and a last group.
ParameterTable table_of(int64_t first, const std::vector<int64_t>& blocks, int64_t last) {
  ParameterTable table;
  table.add({.name = "first", .shape = {first}});
  table.end_group();
  for (const int64_t block : blocks) {
    table.add({.name = "block", .shape = {block}});
    table.end_group();
  }
  table.add({.name = "last", .shape = {last}});
  return table;
}

/// Calls f(table, layout) for models of many shapes on many ranks: blocks larger and smaller than a block of every rank among them.
template <class F>
void each_case(F&& f) {
  for (const int ranks : {1, 2, 3, 8, 64})
    for (const auto& blocks : {std::vector<int64_t>{}, {50'000}, {30'001, 30'001, 30'001}, {100, 100, 100, 100}, std::vector<int64_t>(9, 70'000),
                               {4096, 8192, 12'288}})
      for (const int64_t ends : {1, 4096, 20'000}) {
        const ParameterTable table = table_of(ends, blocks, ends + 1);
        SCOPED_TRACE(testing::Message() << ranks << " ranks, blocks " << testing::PrintToString(blocks) << ", ends " << ends);
        f(table, ShardLayout(table.size(), 0, ranks, table.group_ends()));
      }
}

TEST(Windows, OfTheWholeSpaceAreTheSpaceItself) {
  each_case([](const ParameterTable& table, const ShardLayout& layout) {
    const Windows windows(table, layout, false);
    EXPECT_EQ(windows.groups().size, layout.padded_size());
    int64_t at = 0;
    for (const Range& group : windows.groups().places) {
      EXPECT_EQ(group.begin, at);
      at = group.end;
    }
    EXPECT_EQ(at, table.size());
    for (int64_t i = 0; i < windows.units(); ++i) EXPECT_EQ(windows.bucket(i), layout.bucket(i));
    for (int64_t i = 1; i < windows.units(); ++i) EXPECT_EQ(windows.head(i), windows.head_in_bucket_before(i));
  });
}

TEST(Windows, HoldWhatTheirGroupsNeed) {
  each_case([](const ParameterTable& table, const ShardLayout& layout) {
    for (const bool shared : {false, true}) {
      const Windows windows(table, layout, shared);
      const GroupPlaces flat = resident_places(table, layout.padded_size());
      ASSERT_EQ(windows.groups().places.size(), flat.places.size());
      for (size_t g = 0; g < flat.places.size(); ++g) {
        // an element of the group is in the head, or in the bucket, at the same distance from the bucket's beginning as in the flat space
        const int64_t unit = windows.unit_of(static_cast<int64_t>(g));
        const Range place = windows.groups().places[g];
        EXPECT_EQ(place.size(), flat.places[g].size());
        EXPECT_EQ(place.begin - windows.bucket(unit).begin, flat.places[g].begin - layout.bucket(unit).begin);
        EXPECT_GE(place.begin, windows.head(unit).begin);
        EXPECT_LE(place.end, windows.bucket(unit).end);
      }
      for (int64_t i = 0; i < windows.units(); ++i) {
        EXPECT_EQ(windows.bucket(i).size(), layout.bucket(i).size());
        EXPECT_EQ(windows.head(i).end, windows.bucket(i).begin);
        EXPECT_GE(windows.head(i).begin, 0);
        EXPECT_LE(windows.bucket(i).end, windows.groups().size);
      }
      EXPECT_EQ(windows.head(0).size(), 0);
      for (int64_t i = 1; i < windows.units(); ++i) EXPECT_GE(windows.head_in_bucket_before(i).begin, windows.bucket(i - 1).begin);
    }
  });
}

TEST(Windows, OfNeighboursAndOfBothEndsAreThereTogether) {
  each_case([](const ParameterTable& table, const ShardLayout& layout) {
    const Windows windows(table, layout, true);
    const auto apart = [&](int64_t a, int64_t b) {
      EXPECT_NE(windows.slot(a), windows.slot(b));
      EXPECT_TRUE(windows.bucket(a).end <= windows.head(b).begin || windows.bucket(b).end <= windows.head(a).begin) << a << " and " << b;
    };
    const int64_t last = windows.units() - 1;
    for (int64_t i = 1; i <= last; ++i) apart(i - 1, i);
    for (int64_t i = 1; i < last; ++i) {
      apart(0, i);
      apart(i, last);
    }
    for (int64_t a = 0; a <= last; ++a)
      for (int64_t b = 0; b < a; ++b)
        if (windows.slot(a) != windows.slot(b)) apart(a, b);
  });
}

TEST(Windows, NeedRoomForTwoBlocksHoweverManyThereAre) {
  const auto size = [](size_t blocks) {
    const ParameterTable table = table_of(4096, std::vector<int64_t>(blocks, 81'920), 4096);
    return Windows(table, ShardLayout(table.size(), 0, 2, table.group_ends()), true).groups().size;
  };
  EXPECT_EQ(size(4), size(40));
  EXPECT_LT(size(40), 2 * 81'920 + 13 * 2 * block_size);  // ends, and what buckets are rounded up to
}

}  // namespace
}  // namespace lawa
