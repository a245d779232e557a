#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/unfused.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

/// y = y + bias, and where there is a residual: y = residual + (y + bias).
template <class S, class Out>
void add_bias(const Exec& exec, const Vector<S>& bias, const Matrix<Out>& y) {
  for_rows("lawa::bias", exec, rows(y), columns(y), KOKKOS_LAMBDA(const Row& row, int64_t n) {
    Out* const yn = &y(n, 0);
    row.assign(columns(y), yn, [&](int64_t o) { return yn[o] + bias(o); });
  });
}
template <class S>
void add_bias_and_residual(const Exec& exec, const Vector<S>& bias, const Matrix<float>& residual, const Matrix<float>& y) {
  const S* const b = rows(bias) > 0 ? bias.data() : nullptr;
  for_rows("lawa::residual", exec, rows(y), columns(y), KOKKOS_LAMBDA(const Row& row, int64_t n) {
    float* const yn = &y(n, 0);
    const float* const rn = &residual(n, 0);
    if (b == nullptr) row.assign(columns(y), yn, [&](int64_t o) { return rn[o] + yn[o]; });
    else row.assign(columns(y), yn, [&](int64_t o) { return rn[o] + (yn[o] + b[o]); });
  });
}

/// y = x W^T
template <class S, class Out>
void product(const Exec& exec, const Matrix<S>& x, const Matrix<S>& weight, const Matrix<Out>& y) {
  gemm(exec, 1, block(x), Transpose::no, block(weight), Transpose::yes, 0, block(y));
}
/// y = x W^T with an epilogue, in one; false where that can't be.
template <class S, class Out>
bool fused_product(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, detail::Epilogue epilogue, const Matrix<Out>& y) {
  if (rows(p.bias) > 0) epilogue.bias = p.bias.data();
  return fused_gemm(exec, block(x), Transpose::no, block(p.weight), Transpose::yes, epilogue, block(y));
}

/// dp.weight = kept dp.weight + dy^T x
template <class S>
void weight_backward(const Exec& exec, const Matrix<S>& x, const Matrix<S>& dy, const Affine<float>& dp, float kept) {
  gemm(exec, 1, block(dy), Transpose::yes, block(x), Transpose::no, kept, block(dp.weight));
}
/// Adds the columns' sums of dy into dp.bias.
template <class S>
void bias_backward(const Exec& exec, const Matrix<S>& dy, const Affine<float>& dp) {
  if (rows(dp.bias) == 0) return;
  const S* const from = dy.data();
  const int64_t width = columns(dy);
  add_column_sums(exec, rows(dy), dp.bias, KOKKOS_LAMBDA(int64_t n, int64_t c) -> float { return from[n * width + c]; });
}

/// A device's library takes gelu's tanh form alone, to fewer digits than float has.
template <class S>
bool fuses(Gelu form) {
  return form == Gelu::tanh && std::is_same_v<S, bf16>;
}

}  // namespace

template <class S>
void unfused::affine(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& y) {
  product(exec, x, p.weight, y);
  if (rows(p.bias) > 0) add_bias(exec, p.bias, y);
}

template <class S>
void unfused::affine_add(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<float>& residual, const Matrix<float>& y) {
  product(exec, x, p.weight, y);
  add_bias_and_residual(exec, p.bias, residual, y);
}

template <class S>
void unfused::affine_gelu(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, Gelu form, const Matrix<S>& f, const Matrix<S>& g) {
  product(exec, x, p.weight, f);
  gelu(exec, form, p.bias, f, g);
}

template <class S>
void unfused::affine_gelu_backward(const Exec& exec, const Matrix<S>& g, const Affine<S>& p, const Matrix<S>& dy, Gelu form, const Matrix<S>& f,
                                   const Matrix<S>& df, const Affine<float>& dp, float kept) {
  affine_backward(exec, g, p, dy, df, dp, kept);
  gelu_backward(exec, form, f, df, df);
}

template <class S>
void affine(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& y) {
  if (rows(p.bias) == 0 || !fused_product(exec, x, p, {}, y)) unfused::affine(exec, x, p, y);
}

template <class S>
void affine_add(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<float>& residual, const Matrix<float>& y) {
  LAWA_CHECK(rows(residual) == rows(y) && columns(residual) == columns(y), "affine_add: a residual (", rows(residual), ", ", columns(residual),
             ") for (", rows(y), ", ", columns(y), ")");
  LAWA_CHECK(residual.data() != y.data(), "affine_add: the result lies where the residual is");
  if (!fused_product(exec, x, p, {.residual = residual.data()}, y)) unfused::affine_add(exec, x, p, residual, y);
}

template <class S>
void affine_gelu(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, Gelu form, const Matrix<S>& f, const Matrix<S>& g) {
  LAWA_CHECK(rows(f) == rows(g) && columns(f) == columns(g), "affine_gelu: f (", rows(f), ", ", columns(f), ") and g (", rows(g), ", ",
             columns(g), ")");
  const detail::Epilogue epilogue{.gelu = detail::Epilogue::Gelu::forward, .gelu_input = f.data()};
  if (!fuses<S>(form) || !fused_product(exec, x, p, epilogue, g)) unfused::affine_gelu(exec, x, p, form, f, g);
}

template <class S>
void affine_backward(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& dy, const Matrix<S>& dx,
                     const Affine<float>& dp, float kept) {
  weight_backward(exec, x, dy, dp, kept);
  gemm(exec, 1, block(dy), Transpose::no, block(p.weight), Transpose::no, 0, block(dx));
  bias_backward(exec, dy, dp);
}

template <class S>
void affine_gelu_backward(const Exec& exec, const Matrix<S>& g, const Affine<S>& p, const Matrix<S>& dy, Gelu form, const Matrix<S>& f,
                          const Matrix<S>& df, const Affine<float>& dp, float kept) {
  LAWA_CHECK(rows(f) == rows(df) && columns(f) == columns(df), "affine_gelu_backward: f (", rows(f), ", ", columns(f), ") and df (", rows(df),
             ", ", columns(df), ")");
  const detail::Epilogue epilogue{.gelu = detail::Epilogue::Gelu::backward, .gelu_input = f.data()};
  if (!fuses<S>(form) || !fused_gemm(exec, block(dy), Transpose::no, block(p.weight), Transpose::no, epilogue, block(df)))
    return unfused::affine_gelu_backward(exec, g, p, dy, form, f, df, dp, kept);
  weight_backward(exec, g, dy, dp, kept);
  bias_backward(exec, dy, dp);
}

#define LAWA_INSTANTIATE(S)                                                                                                               \
  template void affine(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<S>&);                                                \
  template void unfused::affine(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<S>&);                                       \
  template void affine_backward(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<S>&, const Matrix<S>&, const Affine<float>&, \
                                float);                                                                                                   \
  template void affine_add(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<float>&, const Matrix<float>&);                  \
  template void unfused::affine_add(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<float>&, const Matrix<float>&);         \
  template void affine_gelu(const Exec&, const Matrix<S>&, const Affine<S>&, Gelu, const Matrix<S>&, const Matrix<S>&);                   \
  template void unfused::affine_gelu(const Exec&, const Matrix<S>&, const Affine<S>&, Gelu, const Matrix<S>&, const Matrix<S>&);          \
  template void affine_gelu_backward(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<S>&, Gelu, const Matrix<S>&,           \
                                     const Matrix<S>&, const Affine<float>&, float);                                                      \
  template void unfused::affine_gelu_backward(const Exec&, const Matrix<S>&, const Affine<S>&, const Matrix<S>&, Gelu, const Matrix<S>&,  \
                                              const Matrix<S>&, const Affine<float>&, float);
LAWA_INSTANTIATE(float)
LAWA_INSTANTIATE(bf16)

}  // namespace lawa
