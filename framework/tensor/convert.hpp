// Numbers from one type into another, element by element.
#pragma once
#include "tensor/bf16.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// to (n) = from (n), rounded where bf16 holds less. Nothing happens where both are the same memory.
template <class From, class To>
void convert(const Exec& exec, const Vector<From>& from, const Vector<To>& to) {
  LAWA_CHECK(rows(from) == rows(to), "conversion of ", rows(from), " elements into ", rows(to));
  if (static_cast<const void*>(from.data()) == to.data()) return;
  constexpr int64_t chunk = 4096;  // elements of one work item
  const int64_t n = rows(from);
  const From* const source = from.data();
  To* const target = to.data();
  Kokkos::parallel_for("lawa::convert", over(exec, (n + chunk - 1) / chunk), KOKKOS_LAMBDA(int64_t item) {
    const int64_t begin = item * chunk, end = begin + chunk < n ? begin + chunk : n;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) target[i] = static_cast<float>(source[i]);
  });
}
template <class From, class To>
void convert(const Exec& exec, const Matrix<From>& from, const Matrix<To>& to) {
  convert(exec, Vector<From>(from.data(), from.size()), Vector<To>(to.data(), to.size()));
}

}  // namespace lawa
