// What a training step launches, as Kokkos tells its tools: a library for any program of this build.
//
//   KOKKOS_TOOLS_LIBS=…/libkernel_trace.so KOKKOS_PROFILE_LIBRARY=…/libkernel_trace.so LAWA_TRACE=FILE … benchmark_training 0 FILE.toml
//   (Kokkos before 4 reads the second variable.) Counted is the first phase "training" after the start: the third step of
// benchmark_training, whose first two are outside. One JSON line for each kind and name: {"kind": "parallel_for", "name": "lawa::norm",
// "launches": 13, "bytes": 0}; bytes are those of a deep_copy. On a GPU the profiler is on for just that step
// (`ncu --profile-from-start off`). roofline.py reads both.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace {

struct Count {
  uint64_t launches = 0, bytes = 0;
};
struct Trace {
  std::map<std::pair<std::string, std::string>, Count> counts;  ///< of (kind, name)
  int depth = 0;                                                ///< open phases; 0: outside the step
  bool done = false;
};
Trace trace;  // Kokkos calls back with names and nothing else

/// Calls a function of the CUDA driver, where one has been loaded.
void tell_driver(const char* function) {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (driver == nullptr) return;
  if (auto* const call = reinterpret_cast<int (*)()>(dlsym(driver, function))) call();
  dlclose(driver);
}

void count(const char* kind, const std::string& name, uint64_t bytes = 0) {
  if (trace.depth == 0) return;
  Count& known = trace.counts[{kind, name}];
  ++known.launches;
  known.bytes += bytes;
}

void write() {
  const char* const path = std::getenv("LAWA_TRACE");
  std::FILE* const file = path == nullptr ? stderr : std::fopen(path, "w");
  if (file == nullptr) return std::perror(path);
  for (const auto& [key, count] : trace.counts)
    std::fprintf(file, R"({"kind": "%s", "name": "%s", "launches": %llu, "bytes": %llu})""\n", key.first.c_str(), key.second.c_str(),
                 static_cast<unsigned long long>(count.launches), static_cast<unsigned long long>(count.bytes));
  if (path != nullptr) std::fclose(file);
}

}  // namespace

struct SpaceHandle {
  char name[64];
};

struct ToolSettings {
  bool fences_each_kernel;
  bool others[255];
};

extern "C" {
void kokkosp_request_tool_settings(uint32_t, ToolSettings* settings) { settings->fences_each_kernel = false; }
void kokkosp_push_profile_region(const char* name) {
  if (trace.done || (trace.depth == 0 && std::string_view(name) != "training")) return;
  if (trace.depth++ == 0) tell_driver("cuProfilerStart");
}
void kokkosp_pop_profile_region() {
  if (trace.depth == 0 || --trace.depth > 0) return;
  tell_driver("cuProfilerStop");
  trace.done = true;
  write();
}
void kokkosp_begin_parallel_for(const char* name, uint32_t, uint64_t*) { count("parallel_for", name); }
void kokkosp_begin_parallel_reduce(const char* name, uint32_t, uint64_t*) { count("parallel_reduce", name); }
void kokkosp_begin_parallel_scan(const char* name, uint32_t, uint64_t*) { count("parallel_scan", name); }
void kokkosp_begin_deep_copy(SpaceHandle to, const char*, const void*, SpaceHandle from, const char*, const void*, uint64_t bytes) {
  count("deep_copy", std::string(from.name) + " to " + to.name, bytes);
}
void kokkosp_begin_fence(const char* name, uint32_t, uint64_t*) { count("fence", name); }
}
