// Causal attention: a row of qkv is q, k, v in turn, each H heads of D, or H heads in turn, each its q, k, v of D; y_t = sum over u <= t of P_tu v_u,
// P_t = softmax over u <= t of scale q_t.k_u.
#pragma once
#include <algorithm>
#include <cmath>

#include "reference/array.hpp"

namespace lawa::reference {

struct AttentionShape {
  int64_t heads, length;  ///< H, T
  double scale;
  bool by_head = false;
};

/// One head of one sequence: element c of q, k or v (part 0, 1, 2) at position t is qkv(row + t, first + part * step + c); of y, it is
/// y(row + t, column + c).
struct AttentionHead {
  int64_t row, column, first, step, size;

  int64_t of(int64_t part, int64_t c) const { return first + part * step + c; }
};

/// P_tu for one query t, and log sum_u exp(scale q_t.k_u).
struct Probabilities {
  Values p;
  double log_sum;
};
inline Probabilities probabilities(const Array& qkv, const AttentionHead& head, int64_t t, double scale) {
  Values p(static_cast<size_t>(t + 1));
  for (int64_t u = 0; u <= t; ++u)
    for (int64_t c = 0; c < head.size; ++c)
      at(p, u) += scale * qkv(head.row + t, head.of(0, c)) * qkv(head.row + u, head.of(1, c));
  const double top = *std::ranges::max_element(p);
  double sum = 0;
  for (double& value : p) sum += value = std::exp(value - top);
  for (double& value : p) value /= sum;
  return {p, top + std::log(sum)};
}

/// f(head, index) for every head of every sequence.
template <class F>
void each_head(const AttentionShape& shape, const Array& qkv, const F& f) {
  const int64_t C = qkv.columns / 3, D = C / shape.heads;
  for (int64_t b = 0; b < qkv.rows / shape.length; ++b)
    for (int64_t h = 0; h < shape.heads; ++h) {
      const AttentionHead head = shape.by_head ? AttentionHead{b * shape.length, h * D, 3 * h * D, D, D} : AttentionHead{b * shape.length, h * D, h * D, C, D};
      f(head, b * shape.heads + h);
    }
}

struct AttentionOutput {
  Array y, log_sum;  ///< (N, C), (B*H, T)
};
inline AttentionOutput attention(const AttentionShape& shape, const Array& qkv) {
  AttentionOutput out{Array(qkv.rows, qkv.columns / 3), Array(qkv.rows / shape.length * shape.heads, shape.length)};
  each_head(shape, qkv, [&](const AttentionHead& head, int64_t index) {
    for (int64_t t = 0; t < shape.length; ++t) {
      const auto [p, log_sum] = probabilities(qkv, head, t, shape.scale);
      out.log_sum(index, t) = log_sum;
      for (int64_t u = 0; u <= t; ++u)
        for (int64_t c = 0; c < head.size; ++c)
          out.y(head.row + t, head.column + c) += at(p, u) * qkv(head.row + u, head.of(2, c));
    }
  });
  return out;
}

/// dqkv from dy: dv_u += P_tu dy_t; dP_tu = dy_t.v_u; dS_tu = P_tu (dP_tu - sum_w P_tw dP_tw); dq_t += scale dS_tu k_u,
/// dk_u += scale dS_tu q_t.
inline Array attention_backward(const AttentionShape& shape, const Array& qkv, const Array& dy) {
  Array d(qkv.rows, qkv.columns);
  each_head(shape, qkv, [&](const AttentionHead& head, int64_t) {
    for (int64_t t = 0; t < shape.length; ++t) {
      const Values p = probabilities(qkv, head, t, shape.scale).p;
      Values dp(p.size());
      double mean = 0;
      for (int64_t u = 0; u <= t; ++u) {
        for (int64_t c = 0; c < head.size; ++c) at(dp, u) += dy(head.row + t, head.column + c) * qkv(head.row + u, head.of(2, c));
        mean += at(p, u) * at(dp, u);
      }
      for (int64_t u = 0; u <= t; ++u)
        for (int64_t c = 0; c < head.size; ++c) {
          const double ds = shape.scale * at(p, u) * (at(dp, u) - mean);
          d(head.row + t, head.of(0, c)) += ds * qkv(head.row + u, head.of(1, c));
          d(head.row + u, head.of(1, c)) += ds * qkv(head.row + t, head.of(0, c));
          d(head.row + u, head.of(2, c)) += at(p, u) * dy(head.row + t, head.column + c);
        }
    }
  });
  return d;
}

}  // namespace lawa::reference
