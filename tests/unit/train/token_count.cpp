// Training tokens of runs that branches have given other batches.
#include "train/token_count.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::HasSubstr;

TEST(TokenCount, IsAMultipleWhereNothingChanges) {
  TokenCount count(96);
  EXPECT_EQ(count.until(0), 0);
  EXPECT_EQ(count.until(7), 672);
  count.go_on(7, 672, Json());
  EXPECT_TRUE(count.json().is_null());
  EXPECT_EQ(count.until(8), 768);
}

TEST(TokenCount, CountsEachPartOfABranchAsItWas) {
  TokenCount branch(50);
  branch.go_on(10, 960, Json());
  EXPECT_EQ(branch.json().dump(), "[[10,960]]");
  TokenCount resumed(50);
  resumed.go_on(15, branch.until(15), branch.json());
  EXPECT_EQ(resumed.json(), branch.json());
  TokenCount of_branch(7);
  of_branch.go_on(20, resumed.until(20), resumed.json());
  EXPECT_EQ(of_branch.json().dump(), "[[10,960],[20,1460]]");
  for (const TokenCount& count : {branch, resumed, of_branch})
    for (const auto& [step, tokens] : std::vector<std::pair<int64_t, int64_t>>{{0, 0}, {3, 288}, {10, 960}, {11, 1010}, {20, 1460}})
      EXPECT_EQ(count.until(step), tokens) << step;
  EXPECT_EQ(of_branch.until(22), 1474);
}

TEST(TokenCount, RefusesChangesThatAreNone) {
  for (const char* text : {"5", "[5]", "[[1,2,3],[\"a\",1]]", "[[0,0]]", "[[10,960],[9,1000]]", "[[30,2000]]", "[[10,5000]]"})
    EXPECT_THAT(error_of([&] { TokenCount(96).go_on(20, 1920, Json::parse(text)); }), HasSubstr("batch_changes: ")) << text;
}

}  // namespace
}  // namespace lawa
