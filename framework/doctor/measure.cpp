#include "doctor/measure.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <limits>

#include "checkpoint/hdf5_library.hpp"
#include "comm/mpi_library.hpp"
#include "core/timer.hpp"
#include "core/version.hpp"
#include "doctor/folder.hpp"
#include "doctor/node.hpp"
#include "doctor/trial_checkpoint.hpp"
#include "ops/gemm.hpp"
#include "ops/gemm_rate.hpp"

namespace lawa {
namespace {

constexpr int64_t product_size = 1024, all_reduce_elements = 16'000'000;
constexpr double product_seconds = 0.4, all_reduce_seconds = 0.4;

BuildFacts build_facts() {
  const Version program = version();
  return {program.number, program.git, program.build, !kernels_run_at_once, Communicator::device_library()};
}

/// CPU seconds that this process has used, all threads together.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Products of this rank while all others compute as well. Threads that the first product starts are the library's. Collective.
void measure_products(const Communicator& comm, RankFacts& facts) {
  const Exec exec;
  const int64_t before = thread_count();
  measured_gemm_rate(exec, Precision::fp32, product_size, 0);
  const int64_t of_library = 1 + thread_count() - before;
  facts.threads = kernels_run_at_once ? std::max<int64_t>(of_library, exec.concurrency()) : 1;
  comm.barrier();
  const Stopwatch clock;
  const double cpu = cpu_seconds();
  facts.flops_per_second = measured_gemm_rate(exec, Precision::fp32, product_size, product_seconds);
  if (multiplies_in(Precision::bf16)) facts.bf16_flops_per_second = measured_gemm_rate(exec, Precision::bf16, product_size, product_seconds);
  if (kernels_run_at_once) facts.cpu_share = (cpu_seconds() - cpu) / clock.seconds() / static_cast<double>(facts.threads);
  comm.barrier();
}

/// As a training step does it: every rank's part of the sum, then everybody's parts. Collective.
void measure_all_reduce(const Communicator& comm, MpiFacts& facts) {
  if (comm.size() == 1) return;
  const Exec exec;
  const int64_t part = (all_reduce_elements + comm.size() - 1) / comm.size();
  const auto full = zeros<float>("lawa::doctor.full", part * comm.size()), mine = zeros<float>("lawa::doctor.mine", part);
  const auto once = [&] {
    comm.barrier();
    const Stopwatch clock;
    comm.reduce_scatter_sum(exec, full, mine);
    comm.all_gather(exec, full);
    exec.fence();
    return comm.max(clock.seconds());  // the same on all ranks, and so is the number of rounds
  };
  double best = once(), all = 0;
  while (all < all_reduce_seconds) {
    const double seconds = once();
    all += seconds;
    best = std::min(best, seconds);
  }
  facts.all_reduce_bytes = static_cast<double>(rows(full)) * sizeof(float);
  facts.all_reduce_bytes_per_second = facts.all_reduce_bytes / best;
}

/// Seconds that this host's clock is ahead of rank 0's, as well as a barrier makes them look at the same time. Collective.
double clock_ahead(const Communicator& comm) {
  using Microseconds = std::chrono::microseconds;
  comm.barrier();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t mine = std::chrono::duration_cast<Microseconds>(now).count();
  return 1e-6 * static_cast<double>(mine - comm.broadcast(mine));
}

std::vector<RankFacts> gathered(const Communicator& comm, const RankFacts& mine) {
  std::vector<RankFacts> all;
  for (const std::string& text : comm.gather(facts_to_json(mine).dump())) all.push_back(facts_from_json<RankFacts>(Json::parse(text)));
  return all;
}

}  // namespace

std::string mpi_io_name(const std::string& library, const std::string& components, const std::string& file_system) {
  if (!library.starts_with("Open MPI")) return "ROMIO";
  if (components.starts_with("^")) return components.find("ompio") != std::string::npos ? "ROMIO" : "OMPIO";
  if (components.find("ompio") != std::string::npos) return "OMPIO";
  return components.find("romio") != std::string::npos || file_system == "lustre" ? "ROMIO" : "OMPIO";
}

Facts measured_facts(const Communicator& comm, const LaunchFacts& launch, const std::filesystem::path& folder, const ProbeLimits& limits) {
  Facts facts;
  facts.build = build_facts();
  facts.launch = launch;
  RankFacts mine = node_facts();
  mine.ranks_sharing_memory = comm.ranks_on_node();
  mine.clock_ahead_seconds = clock_ahead(comm);
  measure_products(comm, mine);
  facts.ranks = gathered(comm, mine);
  measure_all_reduce(comm, facts.mpi);
  facts.folder = folder_facts(comm, folder, limits);
  const MpiLibrary library = mpi_library();
  facts.mpi.library = library.name;
  facts.mpi.standard = library.standard;
  facts.mpi.io = mpi_io_name(library.name, library.io_components, facts.folder.file_system);
  facts.mpi.ranks = comm.size();
  const Hdf5Library hdf5 = hdf5_library(comm);
  facts.hdf5.version = hdf5.version;
  facts.hdf5.parallel = hdf5.parallel;
  try_checkpoint(comm, facts);
  return facts;
}

}  // namespace lawa
