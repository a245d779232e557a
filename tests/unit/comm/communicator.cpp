// What passes between ranks: each result against a loop over all of them.
#include "comm/communicator.hpp"

#include <gtest/gtest.h>

#include <array>

#include "core/timer.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using test::error_of;

/// f(rank) of every rank, in order.
template <class F>
auto each_rank(const Communicator& comm, F&& f) {
  std::vector<decltype(f(0))> values;
  for (int r = 0; r < comm.size(); ++r) values.push_back(f(r));
  return values;
}

TEST(Communicator, SumsDoublesInTheOrderOfTheRanks) {
  const auto comm = Communicator::world();
  constexpr std::array order_matters{1e16, -1e16, 1.0};  // 1 from left to right; from right to left the 1 is lost
  const auto value = [&](int r) { return order_matters[static_cast<size_t>(r % 3)]; };
  double expected = 0;
  for (const double x : each_rank(comm, value)) expected += x;
  EXPECT_EQ(comm.sum(value(comm.rank())), expected);
}

TEST(Communicator, ASumTakesTheLargestCodeAndTheLeastCountWithIt) {
  const auto comm = Communicator::world();
  constexpr std::array order_matters{1e16, -1e16, 1.0};
  const double value = order_matters[static_cast<size_t>(comm.rank() % 3)];
  for (int chosen = 0; chosen < comm.size(); ++chosen) {  // one rank alone has something to say
    const auto [sum, code, count] = comm.exchange(value, comm.rank() == chosen ? 3 : 0, comm.rank() == chosen ? -1 : 5);
    EXPECT_EQ(sum, comm.sum(value));
    EXPECT_EQ(code, 3);
    EXPECT_EQ(count, -1);
  }
  EXPECT_EQ(comm.exchange(value, 0, 7).largest, 0);
  EXPECT_EQ(comm.exchange(value, 0, 7).least, 7);
}

TEST(Communicator, SumsAndMaximaOfIntegersAreExact) {
  const auto comm = Communicator::world();
  const int64_t large = (int64_t{1} << 53) + 1;  // not a double
  EXPECT_EQ(comm.sum(large), large * comm.size());
  EXPECT_EQ(comm.max(large - comm.rank()), large);
  EXPECT_EQ(comm.max(int64_t{-5} - comm.rank()), -5);
  EXPECT_EQ(comm.max(-1.5 * comm.rank() - 1), -1);
}

TEST(Communicator, BroadcastsWhatRankZeroHas) {
  const auto comm = Communicator::world();
  const std::string text("with\0zero", 9);
  EXPECT_EQ(comm.broadcast(comm.root() ? text : "a longer text of another rank"), text);
  EXPECT_EQ(comm.broadcast(comm.root() ? std::string() : "text"), "");
  EXPECT_EQ(comm.broadcast(int64_t{1} << 40 | comm.rank()), int64_t{1} << 40);
}

TEST(Communicator, GathersTextsOfAnyLengthOnEveryRank) {
  const auto comm = Communicator::world();
  const auto text = [](int r) { return std::string(static_cast<size_t>(r) * 3, static_cast<char>('a' + r)); };  // rank 0: empty
  EXPECT_EQ(comm.gather(text(comm.rank())), each_rank(comm, text));
  EXPECT_EQ(comm.gather(""), each_rank(comm, [](int) { return std::string(); }));
}

TEST(Communicator, AnErrorOnSomeRanksReachesAll) {
  const auto comm = Communicator::world();
  const int lowest = std::max(0, comm.size() - 2);
  const auto work = [&] { LAWA_CHECK(comm.rank() < lowest, "rank ", comm.rank(), " can't"); };
  EXPECT_EQ(error_of([&] { comm.together(work); }), concat("rank ", lowest, " can't"));
  EXPECT_EQ(comm.sum(int64_t{1}), comm.size()) << "nobody waits for a message that never comes";
}

TEST(Communicator, ARankThatWorksOnSeesThatAnotherHasFailed) {
  const auto comm = Communicator::world();
  const int last = comm.size() - 1;
  for (int again = 0; again < 3; ++again) {  // none of the one's notices is left for the next
    comm.together([&] { comm.end_if_another_failed(); });
    EXPECT_EQ(error_of([&] {
      comm.together([&] {
        LAWA_CHECK(comm.rank() != last, "the last rank can't");
        for (const Stopwatch clock; clock.seconds() < 20;) comm.end_if_another_failed();
        fail(__FILE__, __LINE__, "rank ", comm.rank(), " has seen nothing");
      });
    }), "the last rank can't");
    const auto all_fail = [&] { comm.together([&] { fail(__FILE__, __LINE__, "rank ", comm.rank(), " can't"); }); };
    EXPECT_EQ(error_of(all_fail), "rank 0 can't");
  }
}

TEST(Communicator, AnErrorsExitCodeReachesAllRanks) {
  const auto comm = Communicator::world();
  for (int chosen = 0; chosen < comm.size(); ++chosen) {
    try {
      comm.together([&] {
        if (comm.rank() == chosen) throw Error("asked to stop", "here", exit_stopped);
      });
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code, exit_stopped);
    }
  }
}

TEST(Communicator, ForeignExceptionsReachAllRanksToo) {
  const auto comm = Communicator::world();
  const auto work = [&] {
    if (comm.rank() == comm.size() - 1) throw std::out_of_range("far away");
  };
  EXPECT_EQ(error_of([&] { comm.together(work); }), "far away");
}

TEST(Communicator, WorkWithoutErrorsJustRuns) {
  const auto comm = Communicator::world();
  int64_t runs = 0;
  comm.together([&] { ++runs; });
  EXPECT_EQ(runs, 1);
  comm.on_root([&] { runs += 10; });
  EXPECT_EQ(runs, comm.root() ? 11 : 1);
  EXPECT_EQ(error_of([&] { comm.on_root([] { throw Error("the disk is full", "here"); }); }), "the disk is full");
}

TEST(Communicator, GoesOnAfterAMove) {
  auto first = Communicator::world();
  auto second = Communicator::world();
  second = std::move(first);
  const Communicator third(std::move(second));
  EXPECT_EQ(third.sum(int64_t{1}), third.size());
}

/// Element i of rank r's buffer: whole numbers, so that sums are exact in any order.
float element(int64_t i, int r) { return static_cast<float>((i * 7 + r * 13) % 101); }

TEST(Collectives, ReduceScatterGivesEachRankItsSliceOfTheSum) {
  const auto comm = Communicator::world();
  const Exec exec;
  for (const int64_t n : {0, 1, 5, 4096, 150001}) {  // the last: in several messages
    std::vector<float> full, expected;
    for (int64_t i = 0; i < n * comm.size(); ++i) full.push_back(element(i, comm.rank()));
    for (int64_t i = n * comm.rank(); i < n * (comm.rank() + 1); ++i) {
      float sum = 0;
      for (const float x : each_rank(comm, [&](int r) { return element(i, r); })) sum += x;
      expected.push_back(sum);
    }
    const auto input = test::vector(full), mine = test::vector(std::vector<float>(static_cast<size_t>(n), test::not_a_number));
    comm.reduce_scatter_sum(exec, input, mine);
    exec.fence();
    EXPECT_TRUE(test::same_bits(test::values(mine), expected)) << n;
    EXPECT_TRUE(test::same_bits(test::values(input), full)) << "the input stays as it was";
  }
}

template <class S>
struct AllGather : testing::Test {};
TYPED_TEST_SUITE(AllGather, test::NumberTypes, test::NumberName);

TYPED_TEST(AllGather, FillsInTheOtherRanksParts) {
  const auto comm = Communicator::world();
  const Exec exec;
  for (const int64_t n : {0, 1, 5, 4096, 150001}) {
    std::vector<float> mine, expected;
    for (int r = 0; r < comm.size(); ++r)
      for (int64_t i = 0; i < n; ++i) {
        expected.push_back(element(i, r));  // below 256: bf16 holds it
        mine.push_back(r == comm.rank() ? element(i, r) : test::not_a_number);
      }
    const auto full = test::vector(test::kept_as<TypeParam>(mine));
    comm.all_gather(exec, full);
    exec.fence();
    EXPECT_TRUE(test::same_bits(test::values(full), test::kept_as<TypeParam>(expected))) << n;
  }
}

TYPED_TEST(AllGather, KeepsTheBitsOfNaN) {  // nothing is computed with what passes
  using Bits = std::conditional_t<sizeof(TypeParam) == 2, uint16_t, uint32_t>;
  const auto comm = Communicator::world();
  const Exec exec;
  const auto full = zeros<TypeParam>("full", comm.size());
  const auto nan = [](int r) { return static_cast<Bits>(~r); };
  const Vector<Bits> bits(reinterpret_cast<Bits*>(full.data()), full.size());
  test::set(slice(bits, {comm.rank(), comm.rank() + 1}), {nan(comm.rank())});
  comm.all_gather(exec, full);
  exec.fence();
  EXPECT_EQ(test::values(bits), each_rank(comm, nan));
}

TYPED_TEST(AllGather, RefusesABufferThatHasNoEqualParts) {
  const auto comm = Communicator::world();
  const auto full = zeros<TypeParam>("full", 3 * comm.size() + 1);
  const std::string refusal = concat("all-gather of ", rows(full), " elements on ", comm.size(), " ranks");
  EXPECT_EQ(error_of([&] { comm.all_gather(Exec(), full); }), comm.size() == 1 ? "no error" : refusal);
}

TEST(Collectives, BuffersThatDoNotFitAreRefusedBeforeAnythingMoves) {
  const auto comm = Communicator::world();
  const Exec exec;
  const auto mine = zeros<float>("mine", 3), full = zeros<float>("full", 3 * comm.size() + 1);
  EXPECT_EQ(error_of([&] { comm.reduce_scatter_sum(exec, full, mine); }),
            concat("reduce-scatter of ", rows(full), " elements into 3 on ", comm.size(), " ranks"));
}

}  // namespace
}  // namespace lawa
