// Memory for what one kernel hands to the next.
#pragma once
#include <cstdint>

#include "tensor/tensor.hpp"

namespace lawa {

/// At least so many bytes that kernels on exec can use until the next call: what is queued on one stream may use the same memory one after the
/// other. It grows, and stays until Kokkos ends. Errors: another stream than the first one.
void* scratch_bytes(const Exec& exec, int64_t bytes);

template <class T>
T* scratch(const Exec& exec, int64_t n) {
  return static_cast<T*>(scratch_bytes(exec, n * static_cast<int64_t>(sizeof(T))));
}

}  // namespace lawa
