// The operations of a transformer, forward and backward: free functions, execution space first.
//
// N = B*T rows (sequence b, position t), C channels, H heads, D = C/H, V vocabulary. Everything is float32, row-major.
// Every backward ADDS into parameter gradients and OVERWRITES activation gradients. Nothing uses atomics: results repeat bit
// for bit. Work is queued on exec; functions that return a number wait for it.
#pragma once
#include "ops/precision.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// y = x W^T + b, with W (out, in) and b (out); b of length 0 is no bias. precision: of the products with x, W and gradients.
struct Affine {
  Matrix<float> weight;
  Vector<float> bias;
  Precision precision = Precision::fp32;
};
/// y = weight * (x - mean)/sqrt(variance + 1e-5) + bias, all (C); bias of length 0 is no bias.
struct Norm {
  Vector<float> weight, bias;
};
/// What norm() keeps for its backward, each (N).
struct NormStatistics {
  Vector<float> mean, inverse_deviation;
};
enum class Gelu { tanh, erf };

/// x[n] = wte[ids[n]] + wpe[n mod T]; ids (N), wte (V, C), wpe (T, C) with T rows used of the context's, x (N, C).
/// Ids must be below V (TokenFile checks them when it opens).
void embed(const Exec& exec, const Tokens& ids, int64_t sequence_length, const Matrix<float>& wte, const Matrix<float>& wpe,
           const Matrix<float>& x);
/// Adds dx (N, C) into the rows of dwte and dwpe that embed() read.
void embed_backward(const Exec& exec, const Tokens& ids, int64_t sequence_length, const Matrix<float>& dx,
                    const Matrix<float>& dwte, const Matrix<float>& dwpe);

/// Layer normalisation (Ba, Kiros, Hinton 2016) of each row of x (N, C) into y (N, C); keeps its statistics.
void norm(const Exec& exec, const Matrix<float>& x, const Norm& p, const NormStatistics& statistics, const Matrix<float>& y);
/// dx (N, C) from dy (N, C); adds into dp.
void norm_backward(const Exec& exec, const Matrix<float>& x, const Norm& p, const NormStatistics& statistics,
                   const Matrix<float>& dy, const Matrix<float>& dx, const Norm& dp);

/// y (N, out) = x (N, in) W^T + b
void affine(const Exec& exec, const Matrix<float>& x, const Affine& p, const Matrix<float>& y);
/// dx = dy W; adds dy^T x into dp.weight and the columns' sums of dy into dp.bias.
void affine_backward(const Exec& exec, const Matrix<float>& x, const Affine& p, const Matrix<float>& dy, const Matrix<float>& dx,
                     const Affine& dp);

/// y = gelu(x) (Hendrycks, Gimpel 2016): x/2 (1 + erf(x/sqrt 2)), or its tanh form.
void gelu(const Exec& exec, Gelu form, const Matrix<float>& x, const Matrix<float>& y);
/// dx = dy gelu'(x); dx may be dy.
void gelu_backward(const Exec& exec, Gelu form, const Matrix<float>& x, const Matrix<float>& dy, const Matrix<float>& dx);

/// y = a + b; y may be either.
void add(const Exec& exec, const Matrix<float>& a, const Matrix<float>& b, const Matrix<float>& y);

/// Sum over rows of -log softmax(z[n])[targets[n]] in nats; z (N, V). Fetched from the device.
double cross_entropy(const Exec& exec, const Matrix<float>& z, const Tokens& targets);
/// The same, and z becomes scale * d(sum)/dz = scale * (softmax(z[n]) - onehot(targets[n])).
double cross_entropy_backward(const Exec& exec, const Matrix<float>& z, const Tokens& targets, double scale);

}  // namespace lawa
