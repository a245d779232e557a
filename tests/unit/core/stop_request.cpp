// Requests to stop, by signals and by the clock. Each test asks a process of its own: a request can't be taken back.
#include "core/stop_request.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace lawa {
namespace {

/// Expects `holds()` in a child that notes signals.
#define EXPECT_IN_A_CHILD(holds)            \
  EXPECT_EXIT(                              \
      {                                     \
        note_stop_signals();                \
        std::_Exit((holds)() ? 0 : 1);      \
      },                                    \
      testing::ExitedWithCode(0), "")

TEST(StopRequest, IsNoneAtFirst) {
  EXPECT_IN_A_CHILD([] { return stop_request() == no_stop && seconds_since_stop_request() == 0; });
  EXPECT_NO_THROW(stop_if_requested());
}

TEST(StopRequest, IsTheFirstSignal) {
  EXPECT_IN_A_CHILD([] {
    std::raise(SIGTERM);
    std::raise(SIGUSR1);
    return stop_request() == terminated && name(stop_request()) == "SIGTERM" && seconds_since_stop_request() > 0;
  });
  EXPECT_IN_A_CHILD([] {
    std::raise(SIGUSR1);
    return name(stop_request()) == "SIGUSR1";
  });
}

TEST(StopRequest, ASecondInterruptEndsTheProcess) {
  EXPECT_IN_A_CHILD([] {
    std::raise(SIGINT);
    return name(stop_request()) == "SIGINT";
  });
  EXPECT_EXIT(
      {
        note_stop_signals();
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(StopRequest, ComesWithTheTime) {
  EXPECT_IN_A_CHILD([] {
    request_stop_at(program_seconds() + 1000);
    const bool before = stop_request() == no_stop;
    request_stop_at(program_seconds() - 2);
    return before && stop_request() == out_of_time && name(out_of_time) == "run.wall_seconds" && seconds_since_stop_request() > 1.9;
  });
}

/// oneDNN's kernels keep other things than the stack where the stack register points.
TEST(StopRequest, IsNotedOnAStackOfItsOwn) {
  EXPECT_IN_A_CHILD([] {
    struct sigaction action {};
    stack_t stack{};
    bool own = ::sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0 && stack.ss_size >= 1 << 15;
    for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
      own = own && ::sigaction(signal, nullptr, &action) == 0;
      own = own && (action.sa_flags & SA_ONSTACK) != 0;
    }
    return own;
  });
}

int code_and_text(std::string& text) {
  try {
    saying_when_stopped(stop_if_requested, [] { return ": 3 of 5 are made"; });
  } catch (const Error& error) {
    text = error.what();
    return error.exit_code;
  }
  return 0;
}

TEST(StopRequest, IsAnErrorWithACodeAndWords) {
  EXPECT_IN_A_CHILD([] {
    std::string text;
    const bool before = code_and_text(text) == 0;
    std::raise(SIGUSR1);
    return before && code_and_text(text) == 4 && text == "stopped by SIGUSR1: 3 of 5 are made";
  });
}

TEST(StopRequest, OtherErrorsKeepTheirWords) {
  try {
    saying_when_stopped([] { throw Error("the disk is full", "here"); }, [] { return "!"; });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the disk is full");
    EXPECT_EQ(error.exit_code, exit_error);
  }
}

}  // namespace
}  // namespace lawa
