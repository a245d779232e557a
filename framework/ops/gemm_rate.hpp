// How fast this machine multiplies matrices: what every rate of training is compared with.
#pragma once
#include "ops/precision.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// Floating-point operations per second of the gemm() that the build uses, on the shape (n, n, n), best of the runs
/// that fit into `seconds`: long enough to be a peak. A multiply-add counts as two.
double measured_gemm_rate(const Exec& exec, Precision precision = Precision::fp32, int64_t n = 1536, double seconds = 2);

}  // namespace lawa
