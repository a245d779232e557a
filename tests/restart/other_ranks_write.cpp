// Leaves a finished run for other_ranks_read.cpp.
#include <gtest/gtest.h>

#include "restart/tiny_run.hpp"
#include "restart/written_on.hpp"

namespace lawa::test {
namespace {

TEST(OtherRanks, Write) {
  const Communicator comm = Communicator::world();
  const std::filesystem::path folder = written_on(comm.size());
  comm.on_root([&] { std::filesystem::remove_all(folder); });
  const TrainConfig config = finished_run(comm, folder);
  EXPECT_EQ(metrics(config, "train").size(), 20u);
}

}  // namespace
}  // namespace lawa::test
