// x[n] = wte[ids[n]] + wpe[n mod T]
#pragma once
#include "reference/array.hpp"

namespace lawa::reference {

inline Array embed(const std::vector<int32_t>& ids, int64_t length, const Array& wte, const Array& wpe) {
  Array x(static_cast<int64_t>(ids.size()), wte.columns);
  for (int64_t n = 0; n < x.rows; ++n)
    for (int64_t c = 0; c < x.columns; ++c) x(n, c) = wte(ids[static_cast<size_t>(n)], c) + wpe(n % length, c);
  return x;
}

/// Adds into dwte and dwpe.
inline void embed_backward(const std::vector<int32_t>& ids, int64_t length, const Array& dx, Array& dwte, Array& dwpe) {
  for (int64_t n = 0; n < dx.rows; ++n)
    for (int64_t c = 0; c < dx.columns; ++c) {
      dwte(ids[static_cast<size_t>(n)], c) += dx(n, c);
      dwpe(n % length, c) += dx(n, c);
    }
}

}  // namespace lawa::reference
