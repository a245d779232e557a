// Each problem on its own in facts that are sound otherwise: it is the one finding, with its value and its remedy.
#include "doctor/findings.hpp"

#include <gmock/gmock.h>

#include <functional>

#include "unit/doctor/sound.hpp"

namespace lawa {
namespace {

using Severity = Finding::Severity;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<Finding> judged(const Facts& facts) { return findings(facts, {}); }

/// The one finding about facts with this change.
Finding only_finding(Facts facts, const std::function<void(Facts&)>& change) {
  change(facts);
  const auto found = judged(facts);
  EXPECT_EQ(found.size(), 1U) << testing::PrintToString(found.size());
  return found.empty() ? Finding() : found.front();
}
Finding only_finding(const std::function<void(Facts&)>& change) { return only_finding(test::sound_facts(), change); }

void expect(const Finding& finding, Severity severity, const std::string& name, const std::string& found, const std::string& remedy) {
  EXPECT_EQ(finding.severity, severity) << finding.name;
  EXPECT_EQ(finding.name, name);
  EXPECT_THAT(finding.found, HasSubstr(found));
  EXPECT_THAT(finding.remedy, HasSubstr(remedy));
  EXPECT_THAT(finding.found + finding.remedy, testing::Not(HasSubstr("\n"))) << "one line each";
}

TEST(Findings, ASoundJobHasNone) {
  EXPECT_THAT(judged(test::sound_facts()), IsEmpty());
  EXPECT_THAT(judged(test::sound_gpu_facts()), IsEmpty());
}

// ---- launch -------------------------------------------------------------------------------------------------------------------

/// One of four ranks that didn't find each other.
void make_singleton(Facts& facts) {
  facts.ranks.resize(1);
  facts.mpi.ranks = 1;
  facts.mpi.all_reduce_bytes_per_second = 0;
}

TEST(Findings, TasksThatAreJobsOfTheirOwn) {
  const std::string each = " started 4 tasks, and each is an MPI job of 1 rank";
  for (const auto& [launcher, found, remedy] : std::vector<std::array<std::string, 3>>{
           {"srun", "srun" + each, "srun --mpi=pmix"},
           {"mpirun", "mpirun" + each, "the mpirun of the MPI that lawa was built with (Open MPI v4.1.4)"},
           {"mpiexec", "mpiexec" + each, "the mpirun of the MPI"},
           {"slurm", "Slurm's allocation is for 4 tasks", "srun (in a batch script too)"}}) {
    expect(only_finding([&](Facts& facts) {
             make_singleton(facts);
             facts.launch.launcher = launcher;
           }),
           Severity::error, "singletons", found, remedy);
  }
}

TEST(Findings, OneTaskOnOneRankIsAsItShouldBe) {
  for (const char* launcher : {"srun", "mpirun", "mpiexec", "slurm", ""}) {
    Facts facts = test::sound_facts();
    make_singleton(facts);
    facts.launch = {launcher, 1, 0, true, ""};
    EXPECT_THAT(judged(facts), IsEmpty()) << launcher;
  }
}

TEST(Findings, NoPmix) {
  const auto without = [](Facts& facts) { facts.launch = {"srun", 1, 0, false, "none"}; };
  expect(only_finding(without), Severity::error, "no_pmix", "srun --mpi=none offers no PMIx", "srun --mpi=pmix, or MpiDefault=pmix");
  Facts facts = test::sound_facts();
  make_singleton(facts);
  facts.launch = {"srun", 4, 0, false, "pmi2"};
  const auto found = judged(facts);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].name, "singletons");
  expect(found[1], Severity::error, "no_pmix", "srun --mpi=pmi2", "srun --mpi=pmix");
}

TEST(Findings, OtherMpisNeedNoPmix) {
  Facts facts = test::sound_facts();
  facts.launch = {"srun", 4, 0, false, "pmi2"};
  facts.mpi.library = "MPICH Version: 4.1";
  facts.mpi.io = "ROMIO";
  EXPECT_THAT(judged(facts), IsEmpty());
}

// ---- cores --------------------------------------------------------------------------------------------------------------------

TEST(Findings, MoreRanksThanCores) {
  const auto crowded = [](Facts& facts) {
    for (RankFacts& rank : facts.ranks) rank.cpus = rank.cores = {0, 1};
    facts.ranks.push_back(facts.ranks.back());  // a third rank on n2
  };
  expect(only_finding(crowded), Severity::error, "oversubscribed_cores", "3 ranks on the 2 cores of n2",
         "at most 2 ranks on such a host: srun --ntasks-per-node=2");
}

TEST(Findings, ARankAHardwareThreadIsAWarning) {
  const auto threads = [](Facts& facts) {
    for (RankFacts& rank : facts.ranks) rank.cpus = {0, 1, 2, 3}, rank.cores = {0, 1}, rank.cpus_of_node = 4;
    facts.ranks.push_back(facts.ranks.back());
  };
  expect(only_finding(threads), Severity::warning, "oversubscribed_cores",
         "3 ranks on the 2 cores of n2, each of several hardware threads (4)", "at most 2 ranks");
}

TEST(Findings, RanksBoundToTheSameCore) {
  expect(only_finding([](Facts& facts) { facts.ranks[1].cpus = facts.ranks[1].cores = {0}; }), Severity::error, "shared_cores",
         "ranks 0, 1 of n1 may run on 1 core (cpu 0) of its 2 cpus only", "mpirun --bind-to core");
}

TEST(Findings, ThreeRanksInTheRoomOfTwoAreCrowdedThoughNoMaskIsTheSame) {
  const auto change = [](Facts& facts) {
    for (RankFacts& rank : facts.ranks) rank.cpus_of_node = 8;
    facts.ranks[0].cpus = facts.ranks[0].cores = {0, 1};
    facts.ranks.push_back(test::sound_rank("n1", 1));
    facts.ranks.back().cpus_of_node = 8;
  };
  expect(only_finding(change), Severity::error, "shared_cores", "ranks 1, 4 of n1 may run on 1 core (cpu 1)", "a core a rank");
}

TEST(Findings, RanksBoundToTheHardwareThreadsOfOneCore) {
  const auto change = [](Facts& facts) {
    for (RankFacts& rank : facts.ranks) rank.cpus_of_node = 4;
    facts.ranks[0].cpus = {0, 2}, facts.ranks[1].cpus = {0, 2};
    facts.ranks[0].cores = facts.ranks[1].cores = {0};
  };
  expect(only_finding(change), Severity::error, "shared_cores", "ranks 0, 1 of n1 may run on 1 core (cpu 0,2) of its 4 cpus only", "bind");
}

TEST(Findings, MoreThreadsThanCores) {
  expect(only_finding([](Facts& facts) { facts.ranks[2].threads = facts.ranks[3].threads = 2; }), Severity::warning, "too_many_threads",
         "2 ranks with 4 threads in all on 2 cores of n2", "export OMP_NUM_THREADS=1");
  const auto roomy = [](Facts& facts) {  // bound to one core, with two threads
    for (RankFacts& rank : facts.ranks) rank.cpus_of_node = 4;
    facts.ranks[1].cpus = facts.ranks[1].cores = {1, 2, 3};
    facts.ranks[0].threads = 2;
  };
  expect(only_finding(roomy), Severity::warning, "too_many_threads", "2 ranks with 3 threads in all on 4 cores of n1",
         "OMP_NUM_THREADS=2, or bind");
}

TEST(Findings, CoresThatSomethingElseRunsOn) {
  expect(only_finding([](Facts& facts) { facts.ranks[2].cpu_share = 0.52; }), Severity::warning, "cores_taken",
         "rank 2 on n2 had its cores for 52 %", "--exclusive");
}

TEST(Findings, ARankThatIsSlowerThanTheOthers) {
  expect(only_finding([](Facts& facts) { facts.ranks[3].flops_per_second = 40e9; }), Severity::warning, "slow_rank",
         "rank 3 on n2 multiplies at 40 GFLOP/s, the median rank at 100", "srun --exclude=HOST");
}

// ---- GPUs ---------------------------------------------------------------------------------------------------------------------

TEST(Findings, AGpuWithoutNccl) {
  expect(only_finding(test::sound_gpu_facts(), [](Facts& facts) { facts.build.device_library = "MPI"; }), Severity::error,
         "gpu_without_nccl", "n1 has 2 GPUs, and this build has no NCCL: ranks exchange by MPI", "install NCCL");
}

TEST(Findings, AGpuThatTheBuildDoesNotUse) {
  expect(only_finding([](Facts& facts) { facts.ranks[2].gpus_of_node = 1; }), Severity::warning, "gpu_unused",
         "n2 has 1 GPU, and this build has neither CUDA nor NCCL", "build the preset cuda");
}

TEST(Findings, RanksOnTheSameGpu) {
  expect(only_finding(test::sound_gpu_facts(), [](Facts& facts) { facts.ranks[3].gpu = facts.ranks[2].gpu; }), Severity::error,
         "shared_gpu", "ranks 2, 3 of n2 compute on the same GPU, 0000:30:00.0", "a rank a GPU: srun --ntasks-per-node=2");
}

TEST(Findings, GpusWithoutARank) {
  expect(only_finding(test::sound_gpu_facts(), [](Facts& facts) { facts.ranks.pop_back(); }), Severity::warning, "idle_gpus",
         "1 rank on the 2 GPUs of n2", "mpirun -n 2");
}

// ---- communication, HDF5, folder ----------------------------------------------------------------------------------------------

TEST(Findings, SlowCommunication) {
  expect(only_finding([](Facts& facts) { facts.mpi.all_reduce_bytes_per_second = 90e6; }), Severity::warning, "slow_all_reduce",
         "64 MB at 90 MB/s, less than all_reduce_rate = 500 MB/s", "OMPI_MCA_pml=ucx");
}

TEST(Findings, SerialHdf5) {
  expect(only_finding([](Facts& facts) {
           facts.hdf5 = {"1.10.8", false, "", "", 0, 0};
         }),
         Severity::warning, "serial_hdf5", "HDF5 1.10.8 is a serial library", "hdf5-parallel, phdf5, libhdf5-openmpi-dev");
}

TEST(Findings, ACheckpointThatCanNotBeWritten) {
  expect(only_finding([](Facts& facts) { facts.hdf5.trial_error = "runs/x: H5Fopen: no"; }), Severity::error, "no_checkpoint",
         "runs/x: H5Fopen: no", "lawa doctor FOLDER");
  expect(only_finding([](Facts& facts) { facts.hdf5.parallel_error = "runs/x: H5Fopen: no"; }), Severity::warning, "no_parallel_hdf5",
         "runs/x: H5Fopen: no", "OMPI_MCA_io=romio321");
}

TEST(Findings, AFolderThatCanNotBeUsedIsAllThatIsSaidOfIt) {
  const auto change = [](Facts& facts) {
    facts.folder = {};
    facts.folder.error = "runs: Permission denied";
  };
  expect(only_finding(change), Severity::error, "no_folder", "runs: Permission denied", "lawa doctor DIRECTORY");
}

TEST(Findings, AFolderThatHostsDoNotShare) {
  expect(only_finding([](Facts& facts) {
           facts.folder.unseen_by = {"n2", "n3", "n4", "n5", "n6"};
         }),
         Severity::error, "private_folder", "n2, n3, n4, n5 and 1 more don't see in runs (lustre) what n1 writes there",
         "file system that all hosts share");
}

TEST(Findings, Locks) {
  const std::string none = "No locks available";
  expect(only_finding([&](Facts& facts) { facts.folder.fcntl_error = none; }), Severity::warning, "no_locks",
         "grants no fcntl locks: " + none, "mount -o flock");
  expect(only_finding([&](Facts& facts) { facts.folder.flock_error = none; }), Severity::warning, "no_flock",
         "grants no flock locks: " + none, "HDF5_USE_FILE_LOCKING=FALSE");
  expect(only_finding([](Facts& facts) { facts.folder.lock_unseen_by = {"n2"}; }), Severity::error, "private_locks",
         "n2 got a lock in runs (lustre) that rank 0 held", "flock, not localflock");
}

TEST(Findings, TooSmallADisk) {
  expect(only_finding([](Facts& facts) { facts.folder.free_bytes = 3'000'000'000; }), Severity::error, "small_disk",
         "runs has 3 GB free, less than disk_bytes = 10 GB", "lawa plan");
  expect(only_finding([](Facts& facts) { facts.folder.free_files = 12; }), Severity::warning, "few_files", "room for 12 more files",
         "inodes");
}

TEST(Findings, FileSystemsWithoutACountOfFilesHaveRoomForThem) {
  Facts facts = test::sound_facts();
  facts.folder.free_files = 0;  // btrfs
  EXPECT_THAT(judged(facts), IsEmpty());
}

TEST(Findings, ASlowDisk) {
  expect(only_finding([](Facts& facts) { facts.folder.write_bytes_per_second = 20e6; }), Severity::warning, "slow_disk",
         "takes 20 MB/s from one process", "scratch, not home");
  expect(only_finding([](Facts& facts) { facts.folder.read_bytes_per_second = 20e6; }), Severity::warning, "slow_disk",
         "gives 20 MB/s to one process", "lfs setstripe");
}

TEST(Findings, ADiskThatIsMemory) {
  expect(only_finding([](Facts& facts) { facts.folder.file_system = "tmpfs"; }), Severity::warning, "memory_disk", "lies in memory (tmpfs)",
         "on a disk");
}

TEST(Findings, Clocks) {
  for (const double seconds : {-100.0, 100.0}) {
    expect(only_finding([&](Facts& facts) { facts.folder.clock_ahead_seconds = seconds; }), Severity::warning, "clocks_apart",
           concat("files in runs get times ", seconds, " s ahead of n1's clock"), "NTP");
    expect(only_finding([&](Facts& facts) { facts.ranks[2].clock_ahead_seconds = seconds; }), Severity::warning, "clocks_apart",
           concat("n2's clock is ", seconds, " s ahead of n1's"), "NTP");
  }
}

// ---- nodes, thresholds ---------------------------------------------------------------------------------------------------------

TEST(Findings, LimitsOfANode) {
  expect(only_finding([](Facts& facts) { facts.ranks[2].shared_memory_bytes = 50'000'000; }), Severity::warning, "small_shared_memory",
         "/dev/shm of n2 has 50 MB free for 2 ranks", "docker --shm-size");
  expect(only_finding([](Facts& facts) { facts.ranks[0].open_files = 256; }), Severity::warning, "few_open_files",
         "a process on n1 may have 256 files open", "ulimit -Hn");
}

TEST(Findings, AProblemOfManyHostsIsSaidOnce) {
  Facts facts = test::sound_facts();
  for (const char* host : {"n3", "n4"}) facts.ranks.push_back(test::sound_rank(host, 0));
  for (RankFacts& rank : facts.ranks) {
    rank.threads = 8;
    rank.open_files = 100;
  }
  const auto found = judged(facts);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_THAT(found[0].found, AllOf(HasSubstr("of n1"), HasSubstr("(and 3 more hosts)")));
  EXPECT_THAT(found[1].found, AllOf(HasSubstr("on n1"), HasSubstr("(and 3 more hosts)")));
}

TEST(Findings, ThresholdsAreTheUser_s) {
  Facts facts = test::sound_facts();
  facts.folder.write_bytes_per_second = 20e6;
  facts.folder.free_bytes = 5'000'000'000;
  EXPECT_THAT(findings(facts, {.disk_bytes = 4e9, .disk_write_rate = 10e6}), IsEmpty());
  facts.folder.write_bytes_per_second = facts.folder.read_bytes_per_second = 0.9e9;
  EXPECT_EQ(findings(facts, {.disk_bytes = 6e9, .disk_write_rate = 1e9, .disk_read_rate = 1e9, .all_reduce_rate = 3e9}).size(), 4U);
}

}  // namespace
}  // namespace lawa
