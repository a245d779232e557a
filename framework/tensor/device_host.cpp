#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "tensor/device.hpp"

namespace lawa {

void* stream_of(const Exec&) { return nullptr; }

std::string device_name() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);)
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "CPU";
}

double device_memory_bytes() { return static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE)); }

Gpus gpus() { return {}; }

double peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

void check_kernels() {}

}  // namespace lawa
