#include "core/tries.hpp"

#include <gmock/gmock.h>

#include <cerrno>
#include <vector>

#include "core/byte_file.hpp"
#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;

void refuse(int number) {
  errno = number;
  LAWA_CHECK_SYSTEM(false, "file.h5", ": can't be read");
}

/// Whether an error of the system's with this number counts as one that may pass.
bool is_of_system(int number) {
  try {
    refuse(number);
  } catch (const Error& error) {
    return error.of_system;
  }
  return false;
}

TEST(SystemError, IsWhateverTheSystemSaysButThatNothingIsThere) {
  for (const int number : {EIO, EMFILE, ENFILE, ENOMEM, ESTALE, EINTR, EAGAIN, EACCES, ETIMEDOUT, ENOSPC, EBUSY, ENODEV, EREMOTEIO})
    EXPECT_TRUE(is_of_system(number)) << std::strerror(number);
  EXPECT_FALSE(is_of_system(ENOENT));
}

TEST(SystemError, SaysWhatTheSystemSaid) { EXPECT_EQ(error_of([] { refuse(EIO); }), std::string("file.h5: can't be read: ") + std::strerror(EIO)); }

TEST(SystemError, IsNotWhatAFileHolds) {
  try {
    LAWA_CHECK(false, "file.h5: its checksum doesn't verify");
  } catch (const Error& error) {
    EXPECT_FALSE(error.of_system);
  }
}

TEST(WithTries, WhatPassesIsTriedAgain) {
  int calls = 0;
  std::vector<std::string> told;
  EXPECT_EQ(with_tries(3, [&](const std::string& error) { told.push_back(error); }, [&] {
    if (++calls < 2) refuse(EIO);
    return calls;
  }), 2);
  EXPECT_THAT(told, testing::ElementsAre(testing::HasSubstr("file.h5: can't be read")));
}

TEST(WithTries, WhatDoesNotPassIsTheErrorInTheEnd) {
  int calls = 0;
  const auto refuse_always = [&] { with_tries(2, [](const std::string&) {}, [&] { ++calls; refuse(EMFILE); }); };
  EXPECT_THAT(error_of(refuse_always), testing::AllOf(testing::HasSubstr(std::strerror(EMFILE)), testing::EndsWith("it was tried 2 times")));
  EXPECT_EQ(calls, 2);
}

TEST(WithTries, DamageIsNotTriedAgain) {
  int calls = 0;
  EXPECT_EQ(error_of([&] { with_tries(5, [](const std::string&) {}, [&] { ++calls; LAWA_CHECK(false, "damaged"); }); }), "damaged");
  EXPECT_EQ(calls, 1);
}

TEST(IfReadable, IsNothingForDamageAndAnErrorForTheSystem) {
  EXPECT_FALSE(if_readable([]() -> int { fail(__FILE__, __LINE__, "damaged"); }));
  EXPECT_FALSE(if_readable([]() -> int { refuse(ENOENT); return 1; }));
  EXPECT_THAT(error_of([] { if_readable([]() -> int { refuse(EIO); return 1; }); }), testing::HasSubstr(std::strerror(EIO)));
  EXPECT_EQ(if_readable([] { return 5; }), 5);
}

}  // namespace
}  // namespace lawa
