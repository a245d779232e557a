// Tests that run for both types that numbers are kept as, and what a rounding to one may change.
//   template <class S> struct NormTest : testing::Test {};
//   TYPED_TEST_SUITE(NormTest, NumberTypes, NumberName);
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "support/near.hpp"
#include "tensor/bf16.hpp"

namespace lawa::test {

using NumberTypes = testing::Types<float, bf16>;
struct NumberName {
  template <class S>
  static std::string GetName(int) {
    return std::is_same_v<S, bf16> ? "bf16" : "float";
  }
};

/// What rounding a result of float arithmetic to S changes it by at most, relative to itself: half a unit in the last place, of which
/// bf16 has eight with the hidden one. float is what the tolerances are about already.
template <class S>
inline constexpr double rounding = std::is_same_v<S, bf16> ? 0x1p-8 : 0;

/// near(), where each number was besides rounded to S once and may be off by that part of itself: stricter than a tolerance that is
/// relative to the largest number.
template <class S, class A, class B>
testing::AssertionResult near_once_rounded(const A& actual, const B& expected, double tolerance) {
  std::vector<double> unrounded(actual.begin(), actual.end());
  for (size_t i = 0; i < std::min(unrounded.size(), expected.size()); ++i) {
    const double exact = expected[i], difference = unrounded[i] - exact;
    const double rest = std::max(std::abs(difference) - rounding<S> * std::abs(exact), 0.0);  // NaN, the first argument, stays
    unrounded[i] = exact + std::copysign(rest, difference);
  }
  return near(unrounded, expected, tolerance);
}

}  // namespace lawa::test
