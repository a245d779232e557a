#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {

template <class S, class Out>
void affine(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<Out>& y) {
  gemm(exec, 1, block(x), Transpose::no, block(p.weight), Transpose::yes, 0, block(y));
  if (rows(p.bias) == 0) return;
  const Vector<S> bias = p.bias;
  for_rows("lawa::bias", exec, rows(y), columns(y), KOKKOS_LAMBDA(const Row& row, int64_t n) {
    Out* const yn = &y(n, 0);
    row.assign(columns(y), yn, [&](int64_t o) { return yn[o] + bias(o); });
  });
}

template <class S>
void affine_backward(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& dy, const Matrix<S>& dx,
                     const Affine<float>& dp, float kept) {
  gemm(exec, 1, block(dy), Transpose::yes, block(x), Transpose::no, kept, block(dp.weight));
  gemm(exec, 1, block(dy), Transpose::no, block(p.weight), Transpose::no, 0, block(dx));
  if (rows(dp.bias) == 0) return;
  const S* const from = dy.data();
  const int64_t width = columns(dy);
  add_column_sums(exec, rows(dy), dp.bias, KOKKOS_LAMBDA(int64_t n, int64_t c) -> float { return from[n * width + c]; });
}

template void affine(const Exec&, const Matrix<float>&, const Affine<float>&, const Matrix<float>&);
template void affine(const Exec&, const Matrix<bf16>&, const Affine<bf16>&, const Matrix<float>&);
template void affine(const Exec&, const Matrix<bf16>&, const Affine<bf16>&, const Matrix<bf16>&);
template void affine_backward(const Exec&, const Matrix<float>&, const Affine<float>&, const Matrix<float>&, const Matrix<float>&,
                              const Affine<float>&, float);
template void affine_backward(const Exec&, const Matrix<bf16>&, const Affine<bf16>&, const Matrix<bf16>&, const Matrix<bf16>&,
                              const Affine<float>&, float);

}  // namespace lawa
