// The operations of affine.cpp with a product and what comes after it one at a time: on a CPU, and where a device's library has no kernel
// that does both. Each gives what its namesake in ops.hpp gives, but for roundings.
#pragma once
#include "ops/ops.hpp"

namespace lawa::unfused {

template <class S>
void affine(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& y);
template <class S>
void affine_add(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<float>& residual, const Matrix<float>& y);
template <class S>
void affine_gelu(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, Gelu form, const Matrix<S>& f, const Matrix<S>& g);
template <class S>
void affine_gelu_backward(const Exec& exec, const Matrix<S>& g, const Affine<S>& p, const Matrix<S>& dy, Gelu form, const Matrix<S>& f,
                          const Matrix<S>& df, const Affine<float>& dp, float kept = 1);

}  // namespace lawa::unfused
