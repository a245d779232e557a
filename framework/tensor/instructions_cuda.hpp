// instructions.hpp for an NVIDIA GPU: one instruction, and CUDA's exp. What is compiled for the CPU beside it is the portable way.
#pragma once
#include <cuda_bf16.h>

#include <nv/target>

#include "tensor/portable.hpp"

namespace lawa {

KOKKOS_INLINE_FUNCTION uint16_t rounded_to_bf16(float x) {
  NV_IF_TARGET(NV_IS_DEVICE, (return __bfloat16_as_ushort(__float2bfloat16_rn(x));), (return portable::rounded_to_bf16(x);))
}
KOKKOS_INLINE_FUNCTION float exponential(float x) { NV_IF_TARGET(NV_IS_DEVICE, (return ::expf(x);), (return portable::exponential(x);)) }

}  // namespace lawa
