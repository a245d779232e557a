#include <cuda_runtime.h>

#include "tensor/device.hpp"

namespace lawa {
namespace {
void check(cudaError_t status) { LAWA_CHECK(status == cudaSuccess, "CUDA: ", cudaGetErrorString(status)); }
}  // namespace

void* stream_of(const Exec& exec) { return exec.cuda_stream(); }

std::string device_name() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device));
  check(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

double device_memory_bytes() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  return static_cast<double>(total);
}

double peak_memory_bytes() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  return static_cast<double>(total - free);
}

}  // namespace lawa
