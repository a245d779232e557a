// In the place of ops/gemm_rate.cpp: measuring the machine takes most of a second a run, and these tests make dozens of runs.
#include "ops/gemm_rate.hpp"

namespace lawa {

double measured_gemm_rate(const Exec&, Precision, int64_t, double) { return 1e9; }

}  // namespace lawa
