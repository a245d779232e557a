#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {

template <class S>
void embed(const Exec& exec, const Tokens& ids, int64_t sequence_length, const Matrix<S>& wte, const Matrix<S>& wpe,
           const Matrix<float>& x) {
  const bool learned = rows(wpe) > 0;
  for_rows("lawa::embed", exec, rows(x), columns(x), KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const int64_t C = columns(x);
    const S* const token = &wte(ids(n), 0);
    const S* const position = learned ? &wpe(n % sequence_length, 0) : nullptr;
    float* const xn = &x(n, 0);
    if (learned) row.assign(C, xn, [&](int64_t c) { return token[c] + position[c]; });
    else row.assign(C, xn, [&](int64_t c) -> float { return token[c]; });
  });
}

template void embed(const Exec&, const Tokens&, int64_t, const Matrix<float>&, const Matrix<float>&, const Matrix<float>&);
template void embed(const Exec&, const Tokens&, int64_t, const Matrix<bf16>&, const Matrix<bf16>&, const Matrix<float>&);

}  // namespace lawa
