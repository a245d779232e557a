// What differs between devices outside kernels; device_host.cpp or device_cuda.cpp implements it.
#pragma once
#include <string>

#include "tensor/tensor.hpp"

namespace lawa {

/// The native stream that `exec` queues on (cudaStream_t), or null where work runs at once on the CPU.
void* stream_of(const Exec& exec);

/// What the kernels run on, for people: "NVIDIA H200", "CPU".
std::string device_name();

/// Bytes that the kernels' data may take: of the machine, which its ranks share, on the CPU; of this rank's device otherwise.
double device_memory_bytes();

/// The GPUs of this process.
struct Gpus {
  int64_t visible = 0;  ///< that it might use
  std::string mine;     ///< the PCI address of the one that it computes on: "0000:3B:00.0"; "" on the CPU
};
Gpus gpus();

/// Bytes of this process at its peak: resident memory on the CPU; memory in use on the device otherwise.
double peak_memory_bytes();

/// Errors: kernels see other values than they were given, as where the compilers of the CPU's and the device's half disagree about a view.
void check_kernels();

}  // namespace lawa
