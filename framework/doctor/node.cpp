#include "doctor/node.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/error.hpp"
#include "core/host_name.hpp"
#include "tensor/device.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// The affinity mask. A larger one than the set is refused, and then a larger set is tried.
std::vector<int64_t> allowed_cpus() {
  for (size_t sets = 1; sets <= 64; sets *= 2) {
    const size_t bytes = sets * sizeof(cpu_set_t);
    std::vector<uint64_t> words(bytes / sizeof(uint64_t));  // in place of cpu_set_t, which has no name of its own: nvcc 13.0 stumbles over it
    auto* const mask = reinterpret_cast<cpu_set_t*>(words.data());
    if (::sched_getaffinity(0, bytes, mask) != 0) continue;
    std::vector<int64_t> cpus;
    for (size_t cpu = 0; cpu < 8 * bytes; ++cpu)
      if (CPU_ISSET_S(cpu, bytes, mask)) cpus.push_back(static_cast<int64_t>(cpu));
    return cpus;
  }
  return {};
}

/// The first of the hardware threads of a cpu's core; itself where the system doesn't say.
int64_t core_of(int64_t cpu) {
  int64_t first = cpu;
  std::ifstream(concat("/sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list")) >> first;
  return first;
}

std::vector<int64_t> cores_of(const std::vector<int64_t>& cpus) {
  std::set<int64_t> cores;
  for (const int64_t cpu : cpus) cores.insert(core_of(cpu));
  return {cores.begin(), cores.end()};
}

int64_t entries(const char* folder) {
  std::error_code missing;
  return std::distance(fs::directory_iterator(folder, missing), fs::directory_iterator());
}

int64_t free_bytes_of(const char* folder) {
  struct statvfs status {};
  return ::statvfs(folder, &status) == 0 ? static_cast<int64_t>(status.f_bavail * status.f_frsize) : 0;
}

/// lawa raises its soft limit itself: the hard one counts.
int64_t open_file_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_max, INT64_MAX));
}

}  // namespace

RankFacts node_facts() {
  RankFacts facts;
  facts.host = host_name();
  facts.cpus = allowed_cpus();
  facts.cores = cores_of(facts.cpus);
  facts.cpus_of_node = ::sysconf(_SC_NPROCESSORS_ONLN);
  facts.gpu = gpus().mine;
  facts.gpus_visible = gpus().visible;
  facts.gpus_of_node = entries("/proc/driver/nvidia/gpus");
  facts.memory_bytes = ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
  facts.shared_memory_bytes = free_bytes_of("/dev/shm");
  facts.open_files = open_file_limit();
  return facts;
}

int64_t thread_count() { return std::max<int64_t>(1, entries("/proc/self/task")); }

}  // namespace lawa
