// Causal self-attention: y = softmax(scale q k^T) v for every head, one tile of queries at a time.
#pragma once
#include "ops/precision.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// The shape of an attention and the room that it works in.
struct Attention {
  int64_t heads = 1, sequence_length = 1;  ///< H, T
  float scale = 1;                         ///< what q k^T is multiplied by: 1/sqrt(D), over layer + 1 where the paper says so
  Matrix<float> tile_a, tile_b;            ///< (min(T, attention_tile), T) each: the probabilities of one tile, their gradients
  Precision precision = Precision::fp32;   ///< of the products
};
/// Queries in a tile.
inline constexpr int64_t attention_tile = 256;

/// y (N, C) from qkv (N, 3C), each row q, k, v with the heads side by side; log_sum (B*H, T) keeps log sum_u exp(scale q_t k_u).
void attend(const Exec& exec, const Attention& shape, const Matrix<float>& qkv, const Matrix<float>& log_sum,
            const Matrix<float>& y);
/// dqkv (N, 3C) from dy (N, C); the probabilities are computed again from log_sum.
/// With P the probabilities: dV = P^T dY, dP = dY V^T, dS = P * (dP - rowsum(dY * Y)), dQ = scale dS K, dK = scale dS^T Q.
void attend_backward(const Exec& exec, const Attention& shape, const Matrix<float>& qkv, const Matrix<float>& log_sum,
                     const Matrix<float>& y, const Matrix<float>& dy, const Matrix<float>& dqkv);

}  // namespace lawa
