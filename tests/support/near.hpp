// Comparisons of arrays: norm-relative, max|a - b| / max|b|, with one table of what each operation may be off by.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <ranges>

namespace lawa::test {

/// How far float32 may be from double precision, as max|a - b| / max|b|.
struct Tolerance {
  double forward, backward;
};
namespace tolerance {
inline constexpr Tolerance gemm{1e-6, 1e-6};           // up to about 300 terms a sum
inline constexpr Tolerance affine{1e-6, 2e-6};
inline constexpr Tolerance embed{1e-7, 1e-6};
inline constexpr Tolerance norm{2e-6, 5e-6};           // small channel counts lose digits in x - mean
inline constexpr Tolerance gelu{5e-7, 2e-6};           // the slope of the tanh form loses digits in 1 - s
inline constexpr Tolerance attend{2e-6, 5e-6};
inline constexpr Tolerance cross_entropy{5e-7, 2e-6};
inline constexpr Tolerance model{2e-6, 1e-5};          // a tiny one: loss, logits, gradients
inline constexpr double adamw = 1e-6;                  // after a few updates
}  // namespace tolerance

/// max|a - b| / max|b|; infinite when the sizes differ, a number isn't finite, or b is zero and a is not.
template <std::ranges::random_access_range A, std::ranges::random_access_range B>
double relative_error(const A& actual, const B& expected) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (std::ranges::size(actual) != std::ranges::size(expected)) return infinity;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::ranges::size(actual); ++i) {
    const auto a = static_cast<double>(actual[i]), b = static_cast<double>(expected[i]);
    if (!std::isfinite(a) || !std::isfinite(b)) return infinity;
    difference = std::max(difference, std::abs(a - b));
    norm = std::max(norm, std::abs(b));
  }
  return difference == 0 ? 0 : difference / norm;
}

/// EXPECT_TRUE(near(actual, expected, tolerance)); says where the largest difference is.
template <std::ranges::random_access_range A, std::ranges::random_access_range B>
testing::AssertionResult near(const A& actual, const B& expected, double tolerance) {
  const size_t size = std::ranges::size(actual);
  if (size != std::ranges::size(expected))
    return testing::AssertionFailure() << size << " elements, expected " << std::ranges::size(expected);
  const double error = relative_error(actual, expected);
  if (error <= tolerance) return testing::AssertionSuccess() << "relative error " << error;
  size_t worst = 0;
  const auto distance = [&](size_t i) {
    const double d = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
    return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
  };
  for (size_t i = 0; i < size; ++i)
    if (distance(i) > distance(worst)) worst = i;
  return testing::AssertionFailure() << "relative error " << error << ", allowed " << tolerance << "; element " << worst << " of "
                                     << size << " is " << actual[worst] << ", expected " << expected[worst];
}

/// EXPECT_TRUE(same_bits(a, b)): equal sizes and equal bytes.
template <std::ranges::contiguous_range A>
testing::AssertionResult same_bits(const A& a, const A& b) {
  if (std::ranges::size(a) != std::ranges::size(b))
    return testing::AssertionFailure() << std::ranges::size(a) << " elements against " << std::ranges::size(b);
  for (size_t i = 0; i < std::ranges::size(a); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0)
      return testing::AssertionFailure() << "element " << i << ": " << a[i] << " against " << b[i];
  return testing::AssertionSuccess();
}

}  // namespace lawa::test
