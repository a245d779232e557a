#include "ops/ops.hpp"

namespace lawa {

// Several rows may add into one row of dwte: each work item owns a few channels of all rows and adds in the rows' order.
void embed_backward(const Exec& exec, const HostVector<int32_t>& ids, int64_t sequence_length, const Matrix<float>& dx,
                    const Matrix<float>& dwte, const Matrix<float>& dwpe) {
  constexpr int64_t width = 64;
  const int64_t C = columns(dx), N = rows(dx);
  const bool learned = rows(dwpe) > 0;
  Kokkos::parallel_for("lawa::embed_backward", over(exec, (C + width - 1) / width), KOKKOS_LAMBDA(int64_t chunk) {
    const int64_t begin = chunk * width;
    const int64_t count = C - begin < width ? C - begin : width;
    for (int64_t n = 0; n < N; ++n) {
      const float* const from = &dx(n, begin);
      float* const token = &dwte(ids(n), begin);
      float* const position = learned ? &dwpe(n % sequence_length, begin) : nullptr;
      if (learned)
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) {
          token[i] += from[i];
          position[i] += from[i];
        }
      else
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) token[i] += from[i];
    }
  });
}

}  // namespace lawa
