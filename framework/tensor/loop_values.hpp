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

/// Two places for the same numbers.
template <class A, class B>
struct Both {
  struct Element {
    A& a;
    B& b;
    KOKKOS_INLINE_FUNCTION void operator=(float x) const {
      a = x;
      b = x;
    }
  };
  A* a;
  B* b;
  KOKKOS_INLINE_FUNCTION Element operator[](int64_t i) const { return {a[i], b[i]}; }
};

}  // namespace lawa
