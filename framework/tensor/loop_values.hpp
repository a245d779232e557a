// What the loops of loops.hpp give and take.
#pragma once
#include "tensor/tensor.hpp"

namespace lawa {

/// Two sums at once.
struct Two {
  float first = 0, second = 0;
  KOKKOS_INLINE_FUNCTION Two& operator+=(const Two& other) {
    first += other.first;
    second += other.second;
    return *this;
  }
};

/// The largest of some numbers, and the sum of exp(number - largest).
struct SoftmaxSum {
  float top, sum;
};

}  // namespace lawa
