// The ranks' signs of life, as its threads exchange them. tests/programs/test_watchdog.py stops and cuts off ranks of whole programs.
#include "comm/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "core/activity.hpp"

namespace lawa {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// What watchdogs say, on their own threads.
class Words {
 public:
  void operator()(const std::string& words) {
    const std::lock_guard lock(mutex_);
    all_.push_back(words);
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_{};
};

int rank_of(MPI_Comm comm) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  return rank;
}
int size_of(MPI_Comm comm) {
  int size = 0;
  MPI_Comm_size(comm, &size);
  return size;
}

TEST(Watchdog, SaysNothingWhileThingsGoOn) {
  Words words;
  {
    const Watchdog watchdog(MPI_COMM_WORLD, 20, std::ref(words));
    for (int i = 0; i < 200; ++i) {
      begin_part("training");
      begin_part(i % 2 == 0 ? "gemm" : "attention");
      note_meeting();
      std::this_thread::sleep_for(1ms);
      end_part();
      end_part();
    }
    MPI_Barrier(MPI_COMM_WORLD);
  }
  EXPECT_TRUE(words.all().empty());
}

TEST(Watchdog, SaysOnAllRanksThatNothingGoesOn) {
  if (size_of(MPI_COMM_WORLD) == 1) GTEST_SKIP() << "one rank waits for nobody";
  Words words;
  {
    const Watchdog watchdog(MPI_COMM_WORLD, 1, std::ref(words));
    for (int i = 0; i < 300 && words.all().empty(); ++i) std::this_thread::sleep_for(100ms);
    MPI_Barrier(MPI_COMM_WORLD);
  }
  ASSERT_FALSE(words.all().empty());
  if (rank_of(MPI_COMM_WORLD) == 0) {
    EXPECT_THAT(words.all()[0], HasSubstr("nothing has gone on for"));
  }
}

}  // namespace
}  // namespace lawa
