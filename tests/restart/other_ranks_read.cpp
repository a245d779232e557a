// Goes on, on these ranks, from step 10 of runs that 1, 2 and 3 ranks have written.
#include <gtest/gtest.h>

#include "checkpoint/commit_record.hpp"
#include "restart/tiny_run.hpp"
#include "restart/written_on.hpp"
#include "support/near.hpp"
#include "support/temporary_directory.hpp"

namespace lawa::test {
namespace {

class OtherRanks : public testing::TestWithParam<int> {};

TEST_P(OtherRanks, GoOnFromTheSameCheckpoint) {
  const Communicator comm = Communicator::world();
  const TemporaryDirectory directory;
  const TrainConfig written = tiny_run(written_on(GetParam()));
  const TrainConfig copy = copy_run(comm, written_on(GetParam()), directory / "copy");
  cut_back(comm, copy, 10);
  run(comm, copy);
  const Json resumed = metrics(copy, "resume").at(0);
  EXPECT_EQ(resumed.at("step"), 10);
  EXPECT_EQ(resumed.at("ranks"), comm.size());
  const auto losses = metrics(copy, "train", "loss"), expected = metrics(written, "train", "loss");
  EXPECT_TRUE(near(losses, expected, 1e-6));
  EXPECT_TRUE(near(metrics(copy, "evaluate", "loss"), metrics(written, "evaluate", "loss"), 1e-6));
  EXPECT_EQ(weights_digest(copy, 10), weights_digest(written, 10));
}
INSTANTIATE_TEST_SUITE_P(WrittenOn, OtherRanks, testing::Values(1, 2, 3), testing::PrintToStringParamName());

}  // namespace
}  // namespace lawa::test
