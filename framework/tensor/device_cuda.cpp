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

// Seen with nvcc 13.0 and a Kokkos of June 2025 whose views stand on mdspan: what a kernel captured behind a view lay 8 bytes off.
void check_kernels() {
  const Vector<float> view = zeros<float>("lawa::view", 3);
  const Vector<double> seen = zeros<double>("lawa::seen", 2);
  double* const to = seen.data();
  const auto behind = static_cast<double>(rows(view));
  Kokkos::parallel_for("lawa::check_kernels", over(Exec(), 1), KOKKOS_LAMBDA(int64_t) {
    to[0] = static_cast<double>(view.extent(0));
    to[1] = behind;
  });
  const HostVector<double> here = on_host(seen);
  LAWA_CHECK(here(0) == 3 && here(1) == 3, "kernels see other values (", here(0), ", ", here(1), ") than they were given (3, 3): nvcc "
             "and this Kokkos, ", KOKKOS_VERSION, ", disagree about a view; build Kokkos with -DKokkos_ENABLE_IMPL_VIEW_LEGACY=ON, or take another "
             "release");
}

}  // namespace lawa
