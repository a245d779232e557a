// Numbers from one type into another, element by element.
#pragma once
#include "tensor/bf16.hpp"
#include "tensor/loops.hpp"

namespace lawa {

/// to (n) = from (n), rounded where bf16 holds less. Nothing happens where both are the same memory.
template <class From, class To>
void convert(const Exec& exec, const Vector<From>& from, const Vector<To>& to) {
  LAWA_CHECK(rows(from) == rows(to), "conversion of ", rows(from), " elements into ", rows(to));
  if (static_cast<const void*>(from.data()) == to.data()) return;
  const From* const source = from.data();
  assign_elements("lawa::convert", exec, rows(from), to.data(), KOKKOS_LAMBDA(int64_t i) { return static_cast<float>(source[i]); });
}
template <class From, class To>
void convert(const Exec& exec, const Matrix<From>& from, const Matrix<To>& to) {
  convert(exec, Vector<From>(from.data(), from.size()), Vector<To>(to.data(), to.size()));
}

}  // namespace lawa
