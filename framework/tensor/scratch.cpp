#include "tensor/scratch.hpp"

#include "tensor/device.hpp"

namespace lawa {

void* scratch_bytes(const Exec& exec, int64_t bytes) {
  static Vector<char> memory;
  static const bool ended_with_kokkos = [] {
    Kokkos::push_finalize_hook([] { memory = {}; });
    return true;
  }();
  static const void* const stream = stream_of(exec);
  static_cast<void>(ended_with_kokkos);
  LAWA_CHECK(stream == stream_of(exec), "kernels of two streams can't share the scratch memory");
  if (rows(memory) < bytes) {
    exec.fence();  // what is queued may still use the old one
    memory = {};
    memory = uninitialised<char>("lawa::scratch", bytes);
  }
  return memory.data();
}

}  // namespace lawa
