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

/// Bytes of this process at its peak: resident memory on the CPU; memory in use on the device otherwise.
double peak_memory_bytes();

}  // namespace lawa
