#include "tensor/scratch.hpp"

#include "tensor/tensor.hpp"

namespace lawa {

void* scratch_bytes(int64_t bytes) {
  static Vector<char> memory;
  static const bool ended_with_kokkos = [] {
    Kokkos::push_finalize_hook([] { memory = {}; });
    return true;
  }();
  static_cast<void>(ended_with_kokkos);
  if (rows(memory) < bytes) {
    Exec().fence();  // what is queued may still use the old one
    memory = {};
    memory = uninitialised<char>("lawa::scratch", bytes);
  }
  return memory.data();
}

}  // namespace lawa
