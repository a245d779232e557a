#include <cuda_runtime.h>

#include <array>

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

Gpus gpus() {
  int visible = 0, device = 0;
  std::array<char, 32> address{};
  check(cudaGetDeviceCount(&visible));
  check(cudaGetDevice(&device));
  check(cudaDeviceGetPCIBusId(address.data(), static_cast<int>(address.size()), device));
  return {visible, address.data()};
}

double peak_memory_bytes() {
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total));
  return static_cast<double>(total - free);
}

}  // namespace lawa
