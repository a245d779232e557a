// Causal self-attention: y = softmax(scale q k^T) v for every head. One tile of queries at a time, or by the device's own kernel where it
// has one for the shape (fused_attention.hpp).
#pragma once
#include "tensor/bf16.hpp"
#include "tensor/cursor.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// Queries in a tile.
inline constexpr int64_t attention_tile = 256;

/// Where an attention works: one tile's scores in float, and as S, which the products take (the same memory where S is float). What
/// only the backward needs has no elements without it, and nothing has any where the device's own kernel is used.
template <class S>
struct AttentionRoom {
  Matrix<float> scores, score_gradients;     ///< (min(T, attention_tile), T)
  Matrix<S> p, ds;                           ///< probabilities, and gradients of scores; the same shape
  Matrix<float> dk, dv;                      ///< (T, D), of one head

  /// For sequences of `length` tokens and heads of D = `width` channels.
  static AttentionRoom map(Cursor& at, int64_t length, int64_t width, bool backward);
};

/// How a row of qkv (3C) is ordered: q, k, v, with the heads side by side in each (GPT-2); or the heads, each with its q, k, v (GPT-NeoX).
enum class QkvOrder { parts, heads };
/// The column where part p (0, 1, 2: q, k, v) of head h begins; it has D columns.
struct QkvColumns {
  int64_t part, head;
  KOKKOS_INLINE_FUNCTION int64_t begin(int64_t p, int64_t h) const { return p * part + h * head; }
};
inline QkvColumns qkv_columns(QkvOrder order, int64_t heads, int64_t width) {
  return order == QkvOrder::parts ? QkvColumns{heads * width, width} : QkvColumns{width, 3 * width};
}

/// The shape of an attention and the room that it works in.
template <class S>
struct Attention {
  int64_t heads = 1, sequence_length = 1;  ///< H, T
  float scale = 1;                         ///< what q k^T is multiplied by: 1/sqrt(D), over layer + 1 where the paper says so
  AttentionRoom<S> room;
  QkvOrder order = QkvOrder::parts;
};

/// y (N, C), the heads side by side, from qkv (N, 3C); log_sum (B*H, T) keeps log sum_u exp(scale q_t k_u).
template <class S>
void attend(const Exec& exec, const Attention<S>& shape, const Matrix<S>& qkv, const Matrix<float>& log_sum, const Matrix<S>& y);
/// dqkv (N, 3C) from dy (N, C); the probabilities are computed again from log_sum.
/// With P the probabilities: dV = P^T dY, dP = dY V^T, dS = P * (dP - rowsum(dY * Y)), dQ = scale dS K, dK = scale dS^T Q.
template <class S>
void attend_backward(const Exec& exec, const Attention<S>& shape, const Matrix<S>& qkv, const Matrix<float>& log_sum, const Matrix<S>& y,
                     const Matrix<S>& dy, const Matrix<S>& dqkv);

}  // namespace lawa
