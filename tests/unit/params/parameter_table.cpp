// The table of tensors and the weights that a run begins with.
#include "params/parameter_table.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "params/initial_weights.hpp"
#include "support/errors.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::HasSubstr;

/// Three tensors over 0..23, one of them a single number, every one with other initial values.
ParameterTable three_tensors() {
  ParameterTable table;
  table.add({.name = "wte.weight", .shape = {3, 6}, .decay = true, .mean = 0, .deviation = 0.02});
  table.end_group();
  table.add({.name = "scale", .shape = {1}, .mean = 1});
  table.add({.name = "ln_f.bias", .shape = {5}, .mean = -2, .deviation = 3});
  table.end_group();
  return table;
}

TEST(ParameterTable, PutsTensorsOneBehindTheOther) {
  const ParameterTable table = three_tensors();
  EXPECT_EQ(table.size(), 24);
  EXPECT_EQ(table.parameters()[1].range(), (Range{18, 19}));
  EXPECT_EQ(table.parameters()[2].range(), (Range{19, 24}));
  EXPECT_EQ(table.group_ends(), (std::vector<int64_t>{18, 24}));
}

TEST(ParameterTable, KnowsWhoHoldsAnElement) {
  const ParameterTable table = three_tensors();
  for (int64_t i = 0; i < table.size(); ++i) EXPECT_EQ(table.at(i).name, i < 18 ? "wte.weight" : i < 19 ? "scale" : "ln_f.bias");
  EXPECT_THAT(error_of([&] { (void)table.at(24); }), HasSubstr("element 24 of 24"));
  EXPECT_THAT(error_of([&] { (void)table.at(-1); }), HasSubstr("element -1"));
}

TEST(ParameterTable, SegmentsCoverARangeAndEachLiesInOneTensor) {
  const ParameterTable table = three_tensors();
  for (int64_t begin = 0; begin <= table.size(); ++begin)
    for (int64_t end = begin; end <= table.size() + 2; ++end) {  // what lies past the end belongs to no tensor
      int64_t at = begin;
      for (const auto& [parameter, range] : table.segments({begin, end})) {
        EXPECT_EQ(range.begin, at);
        EXPECT_FALSE(range.empty());
        EXPECT_EQ(intersect(range, parameter->range()), range);
        at = range.end;
      }
      EXPECT_EQ(at, std::max(begin, std::min(end, table.size())));
    }
}

TEST(ParameterTable, SurvivesJson) {
  const ParameterTable table = three_tensors(), again = ParameterTable::from_json(table.to_json(), "file.h5");
  EXPECT_TRUE(again.same_layout(table));
  EXPECT_EQ(again.to_json().dump(), table.to_json().dump());
  EXPECT_EQ(table.to_json()[0].dump(), R"({"name":"wte.weight","shape":[3,6],"offset":0,"decay":true})");
}

TEST(ParameterTable, JsonThatIsNoTableIsRefused) {
  for (const char* text : {R"([{"name":"a","shape":[2],"offset":1,"decay":true}])",        // a gap
                           R"([{"name":"a","shape":[0],"offset":0,"decay":true}])",        // nothing in it
                           R"([{"name":"a","shape":[-2],"offset":0,"decay":true}])",       // less than nothing
                           R"([{"name":"a","shape":"two","offset":0,"decay":true}])",      // another type
                           R"([{"name":"a","shape":[2],"decay":true}])",                   // no offset
                           R"([3])", R"("text")", "3", "{}", "null"})
    EXPECT_THAT(error_of([&] { ParameterTable::from_json(Json::parse(text), "file.h5"); }), HasSubstr("file.h5: ")) << text;
}

TEST(ParameterTable, TensorsOfImpossibleSizeAreRefused) {
  const auto text = R"([{"name":"a","shape":[549755813888,549755813888],"offset":0,"decay":true}])";  // 2^78 elements
  EXPECT_THAT(error_of([&] { ParameterTable::from_json(Json::parse(text), "file.h5"); }), HasSubstr("file.h5: tensor a "));
}

TEST(ParameterTable, LayoutsAreTheSameWhenNamesAndShapesAre) {
  const auto with_last = [](const std::string& name, std::vector<int64_t> shape) {
    ParameterTable table;
    table.add({.name = "a", .shape = {2}});
    table.add({.name = name, .shape = std::move(shape)});
    return table;
  };
  const ParameterTable table = with_last("b", {2, 3});
  EXPECT_TRUE(table.same_layout(with_last("b", {2, 3})));
  EXPECT_FALSE(table.same_layout(with_last("c", {2, 3})));
  EXPECT_FALSE(table.same_layout(with_last("b", {3, 2}))) << "as many elements, but transposed";
  EXPECT_FALSE(table.same_layout(ParameterTable()));
}

std::vector<float> weights(const ParameterTable& table, uint64_t seed, Range range) {
  std::vector<float> values(static_cast<size_t>(range.size()), std::nanf(""));
  initial_weights(table, seed, range, values);
  return values;
}

TEST(InitialWeights, DoNotDependOnHowTheRangeIsCut) {
  const ParameterTable table = three_tensors();
  const auto whole = weights(table, 1, {0, 24});
  for (int64_t begin = 0; begin <= 24; ++begin)
    for (int64_t end = begin; end <= 24; ++end)
      EXPECT_TRUE(test::same_bits(weights(table, 1, {begin, end}), std::vector(whole.begin() + begin, whole.begin() + end)));
}

TEST(InitialWeights, DependOnTheSeedWhereTheyAreRandom) {
  const auto one = weights(three_tensors(), 1, {0, 24}), two = weights(three_tensors(), 2, {0, 24});
  for (size_t i = 0; i < 24; ++i) EXPECT_EQ(one[i] == two[i], i == 18) << i;
  EXPECT_EQ(one[18], 1.0f) << "a tensor without deviation is constant";
}

TEST(InitialWeights, HaveEachTensorsMeanAndDeviation) {
  ParameterTable table;
  table.add({.name = "a", .shape = {100, 400}, .mean = 0, .deviation = 0.02});
  table.add({.name = "b", .shape = {40'000}, .mean = 3, .deviation = 0.5});
  const auto all = weights(table, 7, {0, table.size()});
  for (const Parameter& p : table.parameters()) {
    double sum = 0, squares = 0;
    for (int64_t i = p.range().begin; i < p.range().end; ++i) {
      const double z = (static_cast<double>(all[static_cast<size_t>(i)]) - p.mean) / p.deviation;
      sum += z;
      squares += z * z;
    }
    const auto n = static_cast<double>(p.size());
    EXPECT_NEAR(sum / n, 0, 4 / std::sqrt(n)) << p.name;
    EXPECT_NEAR(squares / n, 1, 4 * std::sqrt(2 / n)) << p.name;
  }
}

TEST(InitialWeights, RoomForAnotherNumberOfElementsIsRefused) {
  std::vector<float> room(3);
  EXPECT_THAT(error_of([&] { initial_weights(three_tensors(), 1, {0, 4}, room); }), HasSubstr("room for 3 of 4"));
}

}  // namespace
}  // namespace lawa
