// Messages are lines that people can read, whatever they quote.
#include "core/error.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Errors, SayWhatTheyAreGiven) {
  EXPECT_EQ(error_of([] { LAWA_CHECK(false, "model.layers: ", -2, " is less than ", 1.5); }), "model.layers: -2 is less than 1.5");
  const std::string longest(2000, 'x');
  EXPECT_EQ(error_of([&] { LAWA_CHECK(false, longest); }), longest);
}

TEST(Errors, LeaveOutTheMiddleOfWhatIsLong) {
  for (const size_t size : {2001u, 6'000'000u}) {
    const std::string shape(size, '1');
    const std::string message = error_of([&] { LAWA_CHECK(false, "file.h5: tensor wte has the shape [", shape, "] where this model has [3]"); });
    EXPECT_LE(message.size(), 2000u);
    EXPECT_EQ(Error(message, "").what(), message) << "passed on, it stays as it is";
    EXPECT_THAT(message, StartsWith("file.h5: tensor wte has the shape [111"));
    EXPECT_THAT(message, EndsWith("111] where this model has [3]"));
    EXPECT_THAT(message, HasSubstr(concat("1 … (", size + 61 - 1940, " bytes are left out) … 1")));
  }
}

TEST(Errors, AreNotCutInsideACharacter) {
  for (const std::string before : {"", "a", "ab", "abc"})
    for (const std::string character : {"é", "…", "😀"}) {
      std::string text = before;
      while (text.size() < 5000) text += character;
      const std::string message = Error(text, "").what();
      size_t continued = 0, begun = 0;
      for (const char c : message) {
        continued += (static_cast<unsigned char>(c) & 0xc0) == 0x80;
        begun += static_cast<unsigned char>(c) >= 0xc0 ? (static_cast<unsigned char>(c) >= 0xf0 ? 3 : static_cast<unsigned char>(c) >= 0xe0 ? 2 : 1) : 0;
      }
      EXPECT_EQ(continued, begun) << message;
    }
}

TEST(Errors, AreOneLine) {
  EXPECT_STREQ(Error("a\nb\r\x1b[31m\tc", "").what(), "a?b??[31m?c");
  EXPECT_STREQ(Error("naïve … 😀", "").what(), "naïve … 😀");
  EXPECT_STREQ(Error("caf\xe9/x\xf0\x9f\x98", "").what(), "caf\\xE9/x\\xF0\\x9F\\x98") << "names of files may be anything";
}

}  // namespace
}  // namespace lawa
