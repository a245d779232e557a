// The facts of a job in which nothing is wrong: two hosts of two cores, a rank a core.
#pragma once
#include "doctor/findings.hpp"

namespace lawa::test {

inline RankFacts sound_rank(const std::string& host, int64_t core) {
  RankFacts rank;
  rank.host = host;
  rank.cpus = rank.cores = {core};
  rank.cpus_of_node = 2;
  rank.ranks_sharing_memory = 2;
  rank.flops_per_second = 100e9;
  rank.cpu_share = 1;
  rank.memory_bytes = rank.shared_memory_bytes = int64_t{1} << 34;
  rank.open_files = 4096;
  return rank;
}

inline Facts sound_facts() {
  Facts facts;
  facts.build = {"0.1.0", "abc", "GNU", false, "MPI"};
  facts.launch = {"srun", 4, 0, true, "pmix"};
  facts.mpi = {"Open MPI v4.1.4, package: Debian", "3.1", "OMPIO", 4, 64e6, 2e9};
  facts.hdf5 = {"1.10.8", true, "", "", 64e6, 1e9};
  facts.folder.path = "runs";
  facts.folder.file_system = "lustre";
  facts.folder.free_bytes = int64_t{1} << 40;
  facts.folder.free_files = 1 << 20;
  facts.folder.write_bytes_per_second = facts.folder.read_bytes_per_second = 1e9;
  for (const char* host : {"n1", "n2"})
    for (const int64_t core : {0, 1}) facts.ranks.push_back(sound_rank(host, core));
  return facts;
}

/// The same on nodes of two GPUs.
inline Facts sound_gpu_facts() {
  Facts facts = sound_facts();
  facts.build.cuda = true;
  facts.build.device_library = "NCCL 2.22.3";
  for (RankFacts& rank : facts.ranks) {
    rank.cpu_share = 0;
    rank.gpus_of_node = rank.gpus_visible = 2;
    rank.gpu = "0000:3" + std::to_string(rank.cores.front()) + ":00.0";
  }
  return facts;
}

}  // namespace lawa::test
