// instructions.hpp for a CPU.
#pragma once
#include "tensor/portable.hpp"

namespace lawa {

KOKKOS_INLINE_FUNCTION uint16_t rounded_to_bf16(float x) { return portable::rounded_to_bf16(x); }
KOKKOS_INLINE_FUNCTION float exponential(float x) { return portable::exponential(x); }

}  // namespace lawa
