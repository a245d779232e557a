// What a processor may have instructions for. The build chooses: instructions_host.hpp or instructions_cuda.hpp.
//
// rounded_to_bf16(x)   the upper half of the nearest float that has no lower half, ties to even; NaN stays NaN
// exponential(x)       e^x within 2 units in the last place for -87 < x < 88; exp(-inf) is at most about 1e-38; NaN stays NaN
#pragma once
#include LAWA_INSTRUCTIONS
