// The thread that waits for disks.
#include "core/io_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "core/error.hpp"

namespace lawa {
namespace {

TEST(IoThread, DoesJobsInTheirOrderBesideTheCaller) {
  std::vector<int> order;
  std::atomic<bool> may_begin = false;
  IoThread thread;
  EXPECT_EQ(thread.done(), 0);
  EXPECT_EQ(thread.give([&] {
    while (!may_begin) std::this_thread::yield();
    order.push_back(1);
  }), 1);
  EXPECT_EQ(thread.give([&] { order.push_back(2); }), 2);
  EXPECT_EQ(thread.done(), 0) << "the first waits for us, and we don't for it";
  may_begin = true;
  while (thread.done() < 2) std::this_thread::yield();  // asked while it works, as a run does between its steps
  thread.wait();
  EXPECT_EQ(order, (std::vector{1, 2}));
}

TEST(IoThread, LeavesOutWhatStandsBehindAnError) {
  bool done = false;
  IoThread thread;
  thread.give([] { throw Error("no room", "here"); });
  thread.give([&] { done = true; });
  thread.wait();
  EXPECT_EQ(thread.done(), IoThread::failed);
  EXPECT_FALSE(done);
  EXPECT_THROW(std::rethrow_exception(thread.take_error()), Error);
  EXPECT_EQ(thread.take_error(), nullptr);
  EXPECT_EQ(thread.done(), 2);
  EXPECT_EQ(thread.give([&] { done = true; }), 3);
  thread.wait();
  EXPECT_TRUE(done);
}

TEST(IoThread, EndsWithTheJobThatItIsAt) {
  std::atomic<int> begun = 0, ended = 0;
  {
    IoThread thread;
    for (int i = 0; i < 3; ++i)
      thread.give([&] {
        ++begun;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        ++ended;
      });
    while (begun == 0) std::this_thread::yield();
  }
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace lawa
