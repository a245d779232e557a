#include "doctor/findings.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "core/log.hpp"
#include "core/median.hpp"
#include "doctor/hosts.hpp"
#include "doctor/trial_checkpoint.hpp"
#include "doctor/words.hpp"

namespace lawa {
namespace {

constexpr int64_t open_files_needed = 512;           // averaging keeps 200 open, MPI some a rank
constexpr int64_t files_needed = 10000;              // checkpoints, averages and records of a long run
constexpr int64_t shared_memory_of_rank = 32 << 20;  // bytes: Open MPI's and NCCL's buffers between ranks of a node
constexpr double clock_tolerance_seconds = 2;
constexpr double fair_share = 0.7;  // of the median rank's rate

/// What the rules below add to.
class Findings {
 public:
  template <class... Parts>
  void error(const char* name, const std::string& remedy, const Parts&... found) {
    all_.push_back({Finding::Severity::error, name, concat(found...), remedy});
  }
  template <class... Parts>
  void warning(const char* name, const std::string& remedy, const Parts&... found) {
    all_.push_back({Finding::Severity::warning, name, concat(found...), remedy});
  }
  /// What was found host by host: each problem once, with the number of hosts that have it too.
  void add_hosts(const Findings& hosts) {
    std::map<std::string, int64_t> times;
    for (const Finding& finding : hosts.all_) ++times[finding.name];
    for (Finding finding : hosts.all_) {
      const int64_t more = std::exchange(times[finding.name], 0) - 1;
      if (more < 0) continue;
      if (more > 0) finding.found += concat(" (and ", counted(more, "more host"), ")");
      all_.push_back(std::move(finding));
    }
  }
  std::vector<Finding> all() && { return std::move(all_); }

 private:
  std::vector<Finding> all_;
};

std::string percent(double share) { return concat(std::lround(100 * share), " %"); }

const RankFacts& at(const Facts& facts, int64_t rank) { return facts.ranks[static_cast<size_t>(rank)]; }

bool is_open_mpi(const Facts& facts) { return facts.mpi.library.starts_with("Open MPI"); }

// ---- launch -------------------------------------------------------------------------------------------------------------------

std::string how_to_launch(const Facts& facts) {
  const std::string& launcher = facts.launch.launcher;
  if (launcher == "slurm") return "start it with srun (in a batch script too), or with mpirun";
  if (launcher == "srun" && is_open_mpi(facts))
    return "srun --mpi=pmix (srun --mpi=list names the kinds that the site has), or mpirun inside the job";
  if (launcher == "srun")
    return "srun --mpi=pmi2 or the site's kind for this MPI (srun --mpi=list), or this MPI's own mpiexec inside the job";
  return "start it with the mpirun of the MPI that lawa was built with (" + facts.mpi.library.substr(0, facts.mpi.library.find(',')) + ")";
}

void judge_launch(const Facts& facts, Findings& out) {
  const LaunchFacts& launch = facts.launch;
  if (launch.tasks > 1 && facts.mpi.ranks == 1) {
    if (launch.launcher == "slurm")
      out.error("singletons", how_to_launch(facts), "Slurm's allocation is for ", launch.tasks, " tasks, and this is an MPI job of 1 rank");
    else
      out.error("singletons", how_to_launch(facts), launch.launcher, " started ", launch.tasks,
                " tasks, and each is an MPI job of 1 rank: they would all make the same run");
  }
  if (launch.launcher == "srun" && is_open_mpi(facts) && !launch.pmix)
    out.error("no_pmix", "srun --mpi=pmix, or MpiDefault=pmix in slurm.conf; where srun --mpi=list has no pmix, mpirun inside the job",
              "srun", launch.kind.empty() ? "" : " --mpi=" + launch.kind,
              " offers no PMIx, by which Open MPI's ranks find each other: its programs end as they start");
}

// ---- cores --------------------------------------------------------------------------------------------------------------------

std::string ranks_text(const std::vector<int64_t>& ranks) {
  std::vector<std::string> names;
  for (const int64_t rank : ranks) names.push_back(std::to_string(rank));
  return (ranks.size() == 1 ? "rank " : "ranks ") + listed(names);
}

/// More ranks than the cores that they may run on: of the whole machine, or of the part of it that they are bound to.
void judge_binding(const Facts& facts, const Host& host, Findings& out) {
  const int64_t of_node = at(facts, host.ranks.front()).cpus_of_node;
  for (const Room& room : rooms_of(host, facts.ranks)) {
    const int64_t ranks = std::ssize(room.ranks), cores = std::ssize(room.cores), cpus = std::ssize(room.cpus);
    if (ranks <= cores || cores == 0) continue;
    if (cpus < of_node)
      return out.error("shared_cores",
                       concat("a core a rank: ask for them (srun --ntasks=", ranks,
                              " --cpus-per-task=1) and bind to them (srun --cpu-bind=cores, mpirun --bind-to "
                              "core), or don't bind (mpirun --bind-to none)"),
                       ranks_text(room.ranks), " of ", host.name, " may run on ", counted(cores, "core"), " (cpu ", ranges_text(room.cpus),
                       ") of its ", of_node, " cpus only");
    const std::string remedy = concat("at most ", counted(cores, "rank"), " on such a host: srun --ntasks-per-node=", cores, ", mpirun -n ",
                                      cores, "; or more hosts (--nodes)");
    if (ranks > cpus) return out.error("oversubscribed_cores", remedy, ranks, " ranks on the ", counted(cores, "core"), " of ", host.name);
    return out.warning("oversubscribed_cores", remedy, ranks, " ranks on the ", counted(cores, "core"), " of ", host.name,
                       ", each of several hardware threads (", cpus, ")");
  }
}

void judge_threads(const Facts& facts, const Host& host, Findings& out) {
  const int64_t ranks = std::ssize(host.ranks), cores = std::ssize(host.cores), cpus = std::ssize(host.cpus);
  const auto crowds = [&](int64_t rank) { return at(facts, rank).threads > std::ssize(at(facts, rank).cpus); };
  if (host.threads == ranks || (host.threads <= cpus && std::ranges::none_of(host.ranks, crowds))) return;
  out.warning(
      "too_many_threads",
      concat("export OMP_NUM_THREADS=", std::max<int64_t>(1, cores / ranks), ", or bind each rank to as many cores as it has threads"),
      counted(ranks, "rank"), " with ", host.threads, " threads in all on ", counted(cores, "core"), " of ", host.name);
}

void judge_cores(const Facts& facts, Findings& out) {
  Findings hosts;
  for (const Host& host : hosts_of(facts.ranks)) {
    judge_binding(facts, host, hosts);
    judge_threads(facts, host, hosts);
  }
  out.add_hosts(hosts);
}

void judge_products(const Facts& facts, const Thresholds& thresholds, Findings& out) {
  const auto least = std::ranges::min_element(facts.ranks, {}, &RankFacts::cpu_share);
  if (least != facts.ranks.end() && !facts.build.cuda && least->cpu_share < thresholds.cpu_share)
    out.warning("cores_taken", "end what else runs there, give the job whole nodes (--exclusive), or raise the container's CPU quota",
                "rank ", least - facts.ranks.begin(), " on ", least->host, " had its cores for ", percent(least->cpu_share),
                " of the time that it multiplied");
  std::vector<double> rates;
  for (const RankFacts& rank : facts.ranks) rates.push_back(rank.flops_per_second);
  const auto slowest = std::ranges::min_element(rates);
  if (slowest == rates.end()) return;
  const double slow = *slowest;
  const auto place = slowest - rates.begin();
  const double middle = median(rates);
  if (slow < fair_share * middle)
    out.warning("slow_rank", "every step waits for it: leave its host out (srun --exclude=HOST), or see what else runs there", "rank ",
                place, " on ", at(facts, place).host, " multiplies at ", std::lround(slow / 1e9), " GFLOP/s, the median rank at ",
                std::lround(middle / 1e9));
}

// ---- GPUs ---------------------------------------------------------------------------------------------------------------------

void judge_gpus(const Facts& facts, Findings& out) {
  const BuildFacts& build = facts.build;
  const bool nccl = build.device_library.starts_with("NCCL");
  for (const Host& host : hosts_of(facts.ranks)) {
    const RankFacts& first = at(facts, host.ranks.front());
    const int64_t gpus = std::max(first.gpus_of_node, first.gpus_visible);
    if (gpus == 0) continue;
    if (!build.cuda)
      return out.warning("gpu_unused", "build the preset cuda (a Kokkos with CUDA, cuBLAS and NCCL): README, On a cluster", host.name,
                         " has ", counted(gpus, "GPU"), ", and this build has neither CUDA nor NCCL: it computes on the CPU");
    if (!nccl)
      return out.error("gpu_without_nccl", "install NCCL (nccl.h, libnccl; module load nccl) and build the preset cuda again", host.name,
                       " has ", counted(gpus, "GPU"), ", and this build has no NCCL: ranks exchange by ", build.device_library);
    std::map<std::string, std::vector<int64_t>> users;
    for (const int64_t rank : host.ranks) users[at(facts, rank).gpu].push_back(rank);
    for (const auto& [gpu, ranks] : users)
      if (ranks.size() > 1)
        return out.error(
            "shared_gpu",
            "a rank a GPU: srun --ntasks-per-node=" + std::to_string(gpus) + " --gpus-per-task=1, mpirun -n " + std::to_string(gpus),
            ranks_text(ranks), " of ", host.name, " compute on the same GPU, ", gpu);
    if (std::ssize(users) < gpus)
      return out.warning("idle_gpus", concat("a rank a GPU: srun --ntasks-per-node=", gpus, ", mpirun -n ", gpus),
                         counted(std::ssize(host.ranks), "rank"), " on the ", gpus, " GPUs of ", host.name);
  }
}

// ---- communication and HDF5 ---------------------------------------------------------------------------------------------------

void judge_all_reduce(const Facts& facts, const Thresholds& thresholds, Findings& out) {
  const double rate = facts.mpi.all_reduce_bytes_per_second;
  if (rate == 0 || rate >= thresholds.all_reduce_rate) return;
  out.warning("slow_all_reduce",
              "check the network that MPI takes (Open MPI: OMPI_MCA_pml=ucx; NCCL: NCCL_DEBUG=INFO) and how ranks are bound", "ranks add ",
              bytes_text(facts.mpi.all_reduce_bytes), " at ", rate_text(rate),
              ", less than all_reduce_rate = ", rate_text(thresholds.all_reduce_rate));
}

void judge_hdf5(const Facts& facts, Findings& out) {
  const Hdf5Facts& hdf5 = facts.hdf5;
  if (!hdf5.parallel)
    out.warning("serial_hdf5",
                "keep checkpoint.writer = \"direct\", the default; for \"hdf5\" load or install a parallel HDF5 of this MPI (hdf5-parallel, "
                "phdf5, libhdf5-openmpi-dev; h5pcc -showconfig says \"Parallel HDF5: yes\"), and take others out of LD_LIBRARY_PATH",
                "HDF5 ", hdf5.version, " is a serial library: ranks can't write through it together");
  if (!hdf5.trial_error.empty())
    out.error("no_checkpoint", "try another folder: lawa doctor FOLDER", "no checkpoint can be written: ", hdf5.trial_error);
  if (!hdf5.parallel_error.empty())
    out.warning("no_parallel_hdf5",
                "keep checkpoint.writer = \"direct\", the default; or the other MPI-IO: OMPI_MCA_io=romio321 (Open MPI 4) or romio341 (5), or ompio",
                "no checkpoint can be written through parallel HDF5: ", hdf5.parallel_error);
}

// ---- folder -------------------------------------------------------------------------------------------------------------------

void judge_locks(const FolderFacts& folder, Findings& out) {
  if (!folder.fcntl_error.empty())
    out.warning(
        "no_locks",
        "a file system that has them (Lustre: mount -o flock), or run one job at a time in a folder; run.lock.owner stands for a lock",
        folder.path, " (", folder.file_system, ") grants no fcntl locks: ", folder.fcntl_error);
  if (!folder.flock_error.empty())
    out.warning("no_flock", "export HDF5_USE_FILE_LOCKING=FALSE, or h5py and other programs can't open checkpoints", folder.path, " (",
                folder.file_system, ") grants no flock locks: ", folder.flock_error);
  if (!folder.lock_unseen_by.empty())
    out.error(
        "private_locks",
        "mount it with locks that all hosts see (Lustre: flock, not localflock; NFS: no local_lock), or run one job at a time in a folder",
        listed(folder.lock_unseen_by), " got a lock in ", folder.path, " (", folder.file_system,
        ") that rank 0 held: two jobs could write one run");
}

void judge_folder(const Facts& facts, const Thresholds& thresholds, Findings& out) {
  const FolderFacts& folder = facts.folder;
  if (!folder.error.empty())
    return out.error("no_folder", "name a folder that is there, has room and may be written: lawa doctor DIRECTORY", folder.error);
  if (!folder.unseen_by.empty())
    out.error("private_folder", "a folder on a file system that all hosts share (scratch, work, home)", listed(folder.unseen_by),
              " don't see in ", folder.path, " (", folder.file_system, ") what ", facts.ranks.front().host, " writes there");
  judge_locks(folder, out);
  if (static_cast<double>(folder.free_bytes) < thresholds.disk_bytes)
    out.error("small_disk", "free some or take another folder; lawa plan says what a run needs, disk_bytes=… asks for that", folder.path,
              " has ", bytes_text(static_cast<double>(folder.free_bytes)),
              " free, less than disk_bytes = ", bytes_text(thresholds.disk_bytes));
  if (folder.free_files > 0 && folder.free_files < files_needed)
    out.warning("few_files", "remove old files or ask for a larger quota of them (inodes)", folder.path, " has room for ",
                folder.free_files, " more files");
  const std::string faster =
      "another file system (scratch, not home), more stripes (lfs setstripe -c 8), or fewer checkpoints (checkpoint.steps)";
  if (folder.write_bytes_per_second < thresholds.disk_write_rate)
    out.warning("slow_disk", faster, folder.path, " (", folder.file_system, ") takes ", rate_text(folder.write_bytes_per_second),
                " from one process, fsync included, less than disk_write_rate = ", rate_text(thresholds.disk_write_rate));
  if (folder.read_bytes_per_second < thresholds.disk_read_rate)
    out.warning("slow_disk", faster, folder.path, " (", folder.file_system, ") gives ", rate_text(folder.read_bytes_per_second),
                " to one process, less than disk_read_rate = ", rate_text(thresholds.disk_read_rate));
  if (folder.file_system == "tmpfs" || folder.file_system == "ramfs")
    out.warning("memory_disk", "a folder on a disk, for what must outlive the machine's next start", folder.path, " lies in memory (",
                folder.file_system, ")");
  if (std::abs(folder.clock_ahead_seconds) > clock_tolerance_seconds)
    out.warning("clocks_apart", "have both set by NTP: make and the owner files of runs compare such times", "files in ", folder.path,
                " get times ", std::lround(folder.clock_ahead_seconds), " s ahead of ", facts.ranks.front().host, "'s clock");
}

// ---- nodes --------------------------------------------------------------------------------------------------------------------

void judge_nodes(const Facts& facts, Findings& out) {
  Findings hosts;
  for (const Host& host : hosts_of(facts.ranks)) {
    const RankFacts& first = at(facts, host.ranks.front());
    const int64_t ranks = std::ssize(host.ranks);
    if (ranks > 1 && first.shared_memory_bytes < ranks * shared_memory_of_rank)
      hosts.warning("small_shared_memory",
                    "give it more (mount -o remount,size=1G /dev/shm; docker --shm-size=1g), or remove what a killed job left there",
                    "/dev/shm of ", host.name, " has ", bytes_text(static_cast<double>(first.shared_memory_bytes)), " free for ", ranks,
                    " ranks, less than ", bytes_text(static_cast<double>(shared_memory_of_rank)), " each");
    if (first.open_files < open_files_needed)
      hosts.warning("few_open_files",
                    concat("ulimit -Hn ", 8 * open_files_needed, ", in /etc/security/limits.conf or Slurm's PropagateResourceLimits"),
                    "a process on ", host.name, " may have ", first.open_files, " files open, less than ", open_files_needed);
    if (std::abs(first.clock_ahead_seconds) > clock_tolerance_seconds)
      hosts.warning("clocks_apart", "have both set by NTP: make and the owner files of runs compare such times", host.name, "'s clock is ",
                    std::lround(first.clock_ahead_seconds), " s ahead of ", facts.ranks.front().host, "'s");
  }
  out.add_hosts(hosts);
}

}  // namespace

std::vector<Finding> findings(const Facts& facts, const Thresholds& thresholds) {
  Findings out;
  judge_launch(facts, out);
  judge_cores(facts, out);
  judge_products(facts, thresholds, out);
  judge_gpus(facts, out);
  judge_all_reduce(facts, thresholds, out);
  judge_hdf5(facts, out);
  judge_folder(facts, thresholds, out);
  judge_nodes(facts, out);
  return std::move(out).all();
}

}  // namespace lawa
