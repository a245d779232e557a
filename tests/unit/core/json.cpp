// JSON from outside: what isn't meant by anybody is refused before anything walks through it.
#include "core/json.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string lists(size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(Json, IsReadAsDeepAsAnybodyMeansIt) {
  EXPECT_EQ(parsed_json(lists(100), "a.json").size(), 1u);
  EXPECT_THAT(error_of([] { parsed_json(lists(101), "a.json: no record"); }),
              HasSubstr("a.json: no record: lists and objects lie in each other 101 deep, and 100 are read"));
  EXPECT_TRUE(json_or_null(lists(101)).is_null());
  EXPECT_EQ(json_or_null(R"({"a": ["\"[[[", "{{{\\"]})")["a"][0], "\"[[[");
  EXPECT_EQ(parsed_json("[\"" + std::string(200, '[') + "\\\\\", 1]", "a.json")[1], 1) << "brackets in a text are text";
}

TEST(Json, ThatIsNoneIsNamed) {
  EXPECT_THAT(error_of([] { parsed_json("{\"a\": ", "a.json: no record"); }), HasSubstr("a.json: no record: [json.exception.parse_error"));
  EXPECT_TRUE(json_or_null("{\"a\": ").is_null());
  EXPECT_TRUE(json_or_null("").is_null());
}

}  // namespace
}  // namespace lawa
