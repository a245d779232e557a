// How fast this machine multiplies matrices: what every rate of training is compared with.
#pragma once
#include "ops/precision.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// The rows that such a product needs to reach its peak: on a device it must last far longer than its launch.
inline constexpr int64_t gemm_rate_rows = kernels_run_at_once ? 1536 : 8192;

/// Floating-point operations per second of the gemm() that the build uses, on the shape (n, n, n) and numbers like random ones (a
/// device is faster on equal ones), best of the runs that fit into `seconds`: long enough to be a peak. A multiply-add counts as two.
double measured_gemm_rate(const Exec& exec, Precision precision = Precision::fp32, int64_t n = gemm_rate_rows, double seconds = 2);

}  // namespace lawa
