// The operations of a transformer, forward and backward: free functions, execution space first.
//
// N = B*T rows (sequence b, position t), C channels, H heads, D = C/H, V vocabulary; everything is row-major. S is float or bf16: what
// weights, and activations on their way into matrix products, are kept as. Everything is computed in float, and what is added to many
// times (residuals, parameter gradients, statistics, losses) is kept in float.
// Every backward ADDS into parameter gradients and OVERWRITES activation gradients, norm_backward alone adds to the residual's. Nothing
// uses atomics: results repeat bit for bit. Work is queued on exec.
#pragma once
#include "tensor/bf16.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// y = x W^T + b, with W (out, in) and b (out); b of length 0 is no bias.
template <class S>
struct Affine {
  Matrix<S> weight;
  Vector<S> bias;
};
inline constexpr double norm_epsilon = 1e-5;  ///< of every LayerNorm
/// y = weight * (x - mean)/sqrt(variance + 1e-5) + bias, all (C); bias of length 0 is no bias.
template <class S>
struct Norm {
  Vector<S> weight, bias;
};
/// What norm() keeps for its backward, each (N).
struct NormStatistics {
  Vector<float> mean, inverse_deviation;
};
enum class Gelu { tanh, erf };

/// x[n] = wte[ids[n]] + wpe[n mod T]; ids (N), wte (V, C), wpe (T, C) with T rows used of the context's, x (N, C). Where wpe has no rows,
/// x[n] = wte[ids[n]]. Ids must be below V (TokenSet checks them).
template <class S>
void embed(const Exec& exec, const Tokens& ids, int64_t sequence_length, const Matrix<S>& wte, const Matrix<S>& wpe,
           const Matrix<float>& x);
/// Adds dx (N, C) into the rows of dwte and dwpe that embed() read; ids where the CPU reads them.
void embed_backward(const Exec& exec, const HostVector<int32_t>& ids, int64_t sequence_length, const Matrix<float>& dx,
                    const Matrix<float>& dwte, const Matrix<float>& dwpe);

/// Layer normalisation (Ba, Kiros, Hinton 2016) of each row of x (N, C) into y (N, C); keeps its statistics.
template <class S>
void norm(const Exec& exec, const Matrix<float>& x, const Norm<S>& p, const NormStatistics& statistics, const Matrix<S>& y);
/// Adds to dx (N, C), the gradient of the residual that x is, and to dp; dy (N, C). dr, where it has rows, becomes dx as S; it may be dx.
template <class S>
void norm_backward(const Exec& exec, const Matrix<float>& x, const Norm<S>& p, const NormStatistics& statistics, const Matrix<S>& dy,
                   const Matrix<float>& dx, const Matrix<S>& dr, const Norm<float>& dp);

/// y (N, out) = x (N, in) W^T + b.
template <class S>
void affine(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& y);
/// y (N, out) = residual (N, out) + (x W^T + b), where nothing is rounded to S. Errors: y lies where the residual is; other shapes.
template <class S>
void affine_add(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<float>& residual, const Matrix<float>& y);
/// f (N, out) = x W^T + b; g = gelu(f), as gelu() has it.
template <class S>
void affine_gelu(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, Gelu form, const Matrix<S>& f, const Matrix<S>& g);
/// dx = dy W; dp.weight = kept dp.weight + dy^T x, with kept 1 or, to overwrite it, 0; adds the columns' sums of dy into dp.bias.
template <class S>
void affine_backward(const Exec& exec, const Matrix<S>& x, const Affine<S>& p, const Matrix<S>& dy, const Matrix<S>& dx,
                     const Affine<float>& dp, float kept = 1);
/// The backward of y = gelu(f) W^T + b, where g = gelu(f): affine_backward() of g, but for df (N, in) = (dy W) gelu'(f).
template <class S>
void affine_gelu_backward(const Exec& exec, const Matrix<S>& g, const Affine<S>& p, const Matrix<S>& dy, Gelu form, const Matrix<S>& f,
                          const Matrix<S>& df, const Affine<float>& dp, float kept = 1);

/// x = x + bias, where bias (columns) has a length; y = gelu(x) (Hendrycks, Gimpel 2016): x/2 (1 + erf(x/sqrt 2)), or its tanh form.
template <class S>
void gelu(const Exec& exec, Gelu form, const Vector<S>& bias, const Matrix<S>& x, const Matrix<S>& y);
/// dx = dy gelu'(x); dx may be dy.
template <class S>
void gelu_backward(const Exec& exec, Gelu form, const Matrix<S>& x, const Matrix<S>& dy, const Matrix<S>& dx);

/// losses[n] = -log softmax(z[n])[targets[n]] in nats; z (N, V), losses (N).
void cross_entropy(const Exec& exec, const Matrix<float>& z, const Tokens& targets, const Vector<double>& losses);
/// The same, and dz = scale * d(their sum)/dz = scale * (softmax(z[n]) - onehot(targets[n])); dz may be z.
template <class S>
void cross_entropy_backward(const Exec& exec, const Matrix<float>& z, const Tokens& targets, double scale, const Vector<double>& losses,
                            const Matrix<S>& dz);

}  // namespace lawa
