// What is known about a machine and the job on it: measured in measure.cpp, judged in findings.cpp, printed in page.cpp. Each struct's
// one `visit` names its fields, for JSON both ways.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/json.hpp"

namespace lawa {

/// How this process was started, by what stood in its environment then.
struct LaunchFacts {
  std::string launcher;  ///< "mpirun" (Open MPI's), "srun", "mpiexec" (by PMI); "slurm": in an allocation, not by srun; "" without any
  int64_t tasks = 1;     ///< that the launcher started, or that the allocation is for
  int64_t rank = 0;      ///< this process's among them
  bool pmix = false;     ///< the launcher offers PMIx
  std::string kind;      ///< srun's: what --mpi=… was
};
template <class Visitor>
void visit(LaunchFacts& f, Visitor&& v) {
  v("launcher", f.launcher), v("tasks", f.tasks), v("rank", f.rank), v("pmix", f.pmix), v("kind", f.kind);
}

struct BuildFacts {
  std::string version, git, build;
  bool cuda = false;           ///< kernels run on GPUs
  std::string device_library;  ///< what carries device buffers between ranks: "MPI", "NCCL 2.22.3"
};
template <class Visitor>
void visit(BuildFacts& f, Visitor&& v) {
  v("version", f.version), v("git", f.git), v("build", f.build), v("cuda", f.cuda), v("device_library", f.device_library);
}

struct MpiFacts {
  std::string library, standard;  ///< "Open MPI v4.1.4, …", "3.1"
  std::string io;                 ///< "OMPIO", "ROMIO"
  int64_t ranks = 1;
  double all_reduce_bytes = 0, all_reduce_bytes_per_second = 0;  ///< of float32; 0 on one rank
};
template <class Visitor>
void visit(MpiFacts& f, Visitor&& v) {
  v("library", f.library), v("standard", f.standard), v("io", f.io), v("ranks", f.ranks), v("all_reduce_bytes", f.all_reduce_bytes);
  v("all_reduce_bytes_per_second", f.all_reduce_bytes_per_second);
}

struct Hdf5Facts {
  std::string version;
  bool parallel = false;
  std::string trial_error;   ///< why all ranks couldn't write and read a checkpoint; "" where they could, or none was tried
  std::string parallel_error{};  ///< the same through parallel HDF5, checkpoint.writer = "hdf5"
  double trial_bytes = 0, trial_write_bytes_per_second = 0;  ///< by all ranks together, with fsync; 0 where none was tried
};
template <class Visitor>
void visit(Hdf5Facts& f, Visitor&& v) {
  v("version", f.version), v("parallel", f.parallel), v("trial_error", f.trial_error), v("parallel_error", f.parallel_error);
  v("trial_bytes", f.trial_bytes);
  v("trial_write_bytes_per_second", f.trial_write_bytes_per_second);
}

struct FolderFacts {
  std::string path;
  std::string error;        ///< why rank 0 can't use it; then nothing else is known
  std::string file_system;  ///< "ext4", "lustre", "nfs", …
  int64_t free_bytes = 0, free_files = 0;
  int64_t probe_bytes = 0;  ///< written and read by rank 0 alone
  double write_bytes_per_second = 0, read_bytes_per_second = 0;
  std::string fcntl_error, flock_error;     ///< why a lock of this kind is refused; "" where it is granted
  std::vector<std::string> lock_unseen_by;  ///< hosts whose processes were granted an fcntl lock that rank 0 held
  std::vector<std::string> unseen_by;       ///< hosts that don't see there what rank 0 has written
  double clock_ahead_seconds = 0;           ///< of the file system's time stamps before rank 0's clock
};
template <class Visitor>
void visit(FolderFacts& f, Visitor&& v) {
  v("path", f.path), v("error", f.error), v("file_system", f.file_system), v("free_bytes", f.free_bytes), v("free_files", f.free_files);
  v("probe_bytes", f.probe_bytes), v("write_bytes_per_second", f.write_bytes_per_second);
  v("read_bytes_per_second", f.read_bytes_per_second), v("fcntl_error", f.fcntl_error), v("flock_error", f.flock_error);
  v("lock_unseen_by", f.lock_unseen_by), v("unseen_by", f.unseen_by), v("clock_ahead_seconds", f.clock_ahead_seconds);
}

struct RankFacts {
  std::string host;
  int64_t ranks_sharing_memory = 1;  ///< as MPI says it
  std::vector<int64_t> cpus;         ///< that it may run on; two of a core are hardware threads
  std::vector<int64_t> cores;        ///< of these, each by its first cpu
  int64_t cpus_of_node = 1;          ///< whoever may run on them
  int64_t threads = 1;               ///< that its matrix products run on
  std::string gpu;                   ///< PCI address of the one that it computes on
  int64_t gpus_visible = 0;          ///< to this process, in a build for GPUs
  int64_t gpus_of_node = 0;          ///< NVIDIA's, whatever the build
  double flops_per_second = 0, bf16_flops_per_second = 0;  ///< of matrix products while all ranks compute; 0: not in this build
  double cpu_share = 0;              ///< of that time its threads ran, in a build for CPUs: 1 where they had their cores for themselves
  int64_t memory_bytes = 0, shared_memory_bytes = 0;  ///< of the node; free in /dev/shm
  int64_t open_files = 0;            ///< that this process may have at once
  double clock_ahead_seconds = 0;    ///< of rank 0's
};
template <class Visitor>
void visit(RankFacts& f, Visitor&& v) {
  v("host", f.host), v("ranks_sharing_memory", f.ranks_sharing_memory), v("cpus", f.cpus), v("cores", f.cores);
  v("cpus_of_node", f.cpus_of_node), v("threads", f.threads), v("gpu", f.gpu), v("gpus_visible", f.gpus_visible);
  v("gpus_of_node", f.gpus_of_node), v("flops_per_second", f.flops_per_second);
  v("bf16_flops_per_second", f.bf16_flops_per_second), v("cpu_share", f.cpu_share), v("memory_bytes", f.memory_bytes);
  v("shared_memory_bytes", f.shared_memory_bytes), v("open_files", f.open_files), v("clock_ahead_seconds", f.clock_ahead_seconds);
}

struct Facts {
  BuildFacts build;
  LaunchFacts launch;
  MpiFacts mpi;
  Hdf5Facts hdf5;
  FolderFacts folder;
  std::vector<RankFacts> ranks;  ///< in their order
};

template <class Struct>
Json facts_to_json(Struct facts) {
  Json json = Json::object();
  visit(facts, [&](const char* name, const auto& field) { json[name] = field; });
  return json;
}
template <class Struct>
Struct facts_from_json(const Json& json) {
  Struct facts;
  visit(facts, [&](const char* name, auto& field) { json.at(name).get_to(field); });
  return facts;
}

}  // namespace lawa
