// Environments as launchers make them, and file systems, MPI-IO and JSON by name.
#include "doctor/launch.hpp"

#include <gtest/gtest.h>

#include "doctor/folder.hpp"
#include "doctor/measure.hpp"
#include "doctor/words.hpp"
#include "unit/doctor/sound.hpp"

namespace lawa {
namespace {

void expect(const Environment& environment, const LaunchFacts& expected) {
  EXPECT_EQ(facts_to_json(launch_facts(environment)), facts_to_json(expected));
}

const Environment allocation = {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}};

Environment with(Environment environment, const Environment& more) {
  environment.insert(more.begin(), more.end());
  return environment;
}

TEST(Launch, Nobody) { expect({{"PATH", "/bin"}}, {"", 1, 0, false, ""}); }

TEST(Launch, Srun) {
  const auto step = with(allocation, {{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_MPI_TYPE", "pmix"}});
  expect(step, {"srun", 4, 0, false, "pmix"});
  expect(with(step, {{"PMIX_NAMESPACE", "slurm.pmix.2.0"}, {"PMIX_RANK", "0"}}), {"srun", 4, 0, true, "pmix"});
  expect(with({{"SLURM_PROCID", "3"}}, with(step, {{"PMI_SIZE", "4"}, {"PMI_RANK", "3"}})), {"srun", 4, 3, false, "pmix"});
}

TEST(Launch, SrunSaysNothingOfNone) {
  expect({{"SLURM_STEP_NUM_TASKS", "2"}}, {"srun", 2, 0, false, "none"});
  expect({{"SLURM_STEP_NUM_TASKS", "2"}, {"PMI_RANK", "0"}}, {"srun", 2, 0, false, ""});
}

TEST(Launch, ABatchScriptHasNoStep) { expect(allocation, {"slurm", 8, 0, false, ""}); }

TEST(Launch, MpirunInsideAnAllocationCounts) {
  const Environment mpirun = {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}, {"SLURM_STEP_NUM_TASKS", "1"}};
  expect(with(mpirun, allocation), {"mpirun", 2, 1, false, ""});
}

TEST(Launch, OtherMpiexecs) { expect({{"PMI_SIZE", "3"}, {"PMI_RANK", "2"}}, {"mpiexec", 3, 2, false, ""}); }

TEST(Launch, WhatIsNoNumberCountsAsOneTask) { expect({{"PMI_SIZE", "many"}}, {"mpiexec", 1, 0, false, ""}); }

TEST(Launch, TheEnvironmentIsThatOfTheStart) {
  ::setenv("LAWA_SET_LATER", "1", 1);
  const Environment environment = initial_environment();
  EXPECT_FALSE(environment.contains("LAWA_SET_LATER"));
  EXPECT_TRUE(environment.contains("PATH"));
}

TEST(MpiIo, IsOmpioWhereOpenMpiTakesIt) {
  const std::string open_mpi = "Open MPI v4.1.4, package: Debian";
  for (const char* components : {"", "ompio", "^romio321"}) EXPECT_EQ(mpi_io_name(open_mpi, components, "ext4"), "OMPIO") << components;
  for (const char* components : {"romio321", "romio341", "^ompio"})
    EXPECT_EQ(mpi_io_name(open_mpi, components, "ext4"), "ROMIO") << components;
  EXPECT_EQ(mpi_io_name(open_mpi, "", "lustre"), "ROMIO");
  EXPECT_EQ(mpi_io_name(open_mpi, "ompio", "lustre"), "OMPIO");
  for (const char* library : {"MPICH Version: 4.1", "MPI VERSION    : CRAY MPICH version 8.1.25", "Intel(R) MPI Library 2021.9"})
    EXPECT_EQ(mpi_io_name(library, "", "ext4"), "ROMIO") << library;
}

TEST(FileSystem, HasItsName) {
  EXPECT_EQ(file_system_name(0xEF53), "ext4");
  EXPECT_EQ(file_system_name(0x0BD00BD0), "lustre");
  EXPECT_EQ(file_system_name(0xFFFFFFFFFF534D42), "cifs");  // as a signed 32-bit number comes
  EXPECT_EQ(file_system_name(0x1234), "0x1234");
}

TEST(Facts, ComeBackFromJson) {
  const Facts facts = test::sound_gpu_facts();
  const Json json = facts_to_json(facts.ranks[3]);
  EXPECT_EQ(json.size(), 16U);
  EXPECT_EQ(facts_to_json(facts_from_json<RankFacts>(Json::parse(json.dump()))), json);
}

TEST(Words, ListsAreShort) {
  EXPECT_EQ(listed({"a"}), "a");
  EXPECT_EQ(listed({"a", "b", "c", "d"}), "a, b, c, d");
  EXPECT_EQ(listed({"a", "b", "c", "d", "e", "f"}), "a, b, c, d and 2 more");
  EXPECT_EQ(ranges_text({}), "");
  EXPECT_EQ(ranges_text({7}), "7");
  EXPECT_EQ(ranges_text({0, 1, 2, 5, 8, 9}), "0-2,5,8-9");
  EXPECT_EQ(counted(1, "rank") + ", " + counted(2, "rank"), "1 rank, 2 ranks");
}

}  // namespace
}  // namespace lawa
