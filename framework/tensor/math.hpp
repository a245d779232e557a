// Elementary functions for kernels, the same on every Kokkos version; exponential() is in instructions.hpp.
#pragma once
#include <Kokkos_Core.hpp>
#include <cmath>

#include "tensor/instructions.hpp"

namespace lawa {

KOKKOS_INLINE_FUNCTION float square_root(float x) { return ::sqrtf(x); }
KOKKOS_INLINE_FUNCTION double logarithm(double x) { return ::log(x); }
KOKKOS_INLINE_FUNCTION float error_function(float x) { return ::erff(x); }
using portable::larger, portable::smaller;

/// 1 / (1 + e^-x)
KOKKOS_INLINE_FUNCTION float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

}  // namespace lawa
