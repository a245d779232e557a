// What MPI says of itself and of the nodes.
#include "comm/mpi_library.hpp"

#include <gmock/gmock.h>
#include <mpi.h>

#include "comm/communicator.hpp"

namespace lawa {
namespace {

TEST(MpiLibrary, SaysWhichItIsOnOneLine) {
  const MpiLibrary library = mpi_library();
  EXPECT_FALSE(library.name.empty());
  EXPECT_EQ(library.name.find_first_of(std::string("\n\0", 2)), std::string::npos);
  EXPECT_EQ(library.name, mpi_library_name());
  EXPECT_THAT(library.standard, testing::MatchesRegex("[0-9]+\\.[0-9]+"));
  EXPECT_EQ(mpi_library().name, library.name) << "it can be asked again";
}

TEST(Communicator, CountsTheRanksThatShareMemory) {
  const auto comm = Communicator::world();
  EXPECT_EQ(comm.ranks_on_node(), comm.size()) << "the tests run on one machine";
}

TEST(Communicator, NamesWhatCarriesDeviceBuffers) {
  EXPECT_THAT(Communicator::device_library(), testing::AnyOf("MPI", testing::StartsWith("NCCL ")));
}

}  // namespace
}  // namespace lawa
