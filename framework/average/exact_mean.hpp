// Means of checkpoints, rounded once. Uniform means are the nearest number to the exact mean, ties to even, always: it is
// seen from the largest and the smallest number whether a float64 sum can have been rounded, and the rare elements whose sum or
// quotient isn't exact enough are done again in integers.
#pragma once
#include <cstdint>
#include <span>

namespace lawa {

/// What a mean is rounded to. A bfloat16 or float16 is kept in a float, whose lowest bits are zero then; what is beyond the largest
/// float16 is any float that is larger.
enum class Rounding { float32, bfloat16, float16 };

/// The mean of the first `count` members, into `out`.
struct MeanOfFirst {
  int64_t count;
  float* out;
};

/// For several counts (ascending, the last at most members.size()): out[i] = mean of members[0..count)[i], for i in 0..n-1. One walk
/// over the members serves all counts. Where a member isn't finite, so is what comes out (as float64 arithmetic gives it).
void uniform_means(std::span<const float* const> members, std::span<const MeanOfFirst> wanted, int64_t n, Rounding rounding);

/// out[i] = sum of weights[j] * members[j][i], added in float64 in the order of the members, over the weights' sum; rounded once.
void weighted_mean(std::span<const float* const> members, std::span<const double> weights, int64_t n, Rounding rounding, float* out);

/// The exact mean of count numbers, rounded: number(j) for j in 0..count-1 must be finite. Slow; what the others fall back on.
float exact_mean(std::span<const float> numbers, Rounding rounding);

}  // namespace lawa
