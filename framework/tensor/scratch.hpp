// Memory for what one kernel hands to the next.
#pragma once
#include <cstdint>

namespace lawa {

/// At least so many bytes that kernels can use, aligned to 256, until the next call: what is queued on one stream may use the same memory one
/// after the other. It grows, and stays until Kokkos ends.
void* scratch_bytes(int64_t bytes);

template <class T>
T* scratch(int64_t n) {
  return static_cast<T*>(scratch_bytes(n * static_cast<int64_t>(sizeof(T))));
}

}  // namespace lawa
