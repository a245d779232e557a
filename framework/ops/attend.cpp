#include "ops/attend.hpp"

#include "ops/fused_attention.hpp"
#include "ops/gemm.hpp"
#include "tensor/math.hpp"
#include "tensor/phases.hpp"

namespace lawa {
namespace {

/// Whether T = `length` positions by heads of D = `width` channels are attended to by the device's own kernel, without tiles.
template <class S>
bool is_fused(int64_t length, int64_t width) {
  return std::is_same_v<S, bf16> && detail::fused_attention_fits(length, width);
}
template <class S>
bool is_fused(const Attention<S>& shape, const Matrix<S>& qkv) {
  return is_fused<S>(shape.sequence_length, columns(qkv) / (3 * shape.heads));
}

/// One head of one sequence: where its rows and columns lie.
struct Head {
  Range sequence;  ///< rows of qkv and y
  Range q, k, v;   ///< columns of qkv
  Range y;         ///< columns of y
  int64_t index;   ///< b*H + h, the row of log_sum
};

template <class S, class F>
void for_each_head(const Attention<S>& shape, const Matrix<S>& qkv, F&& f) {
  const int64_t H = shape.heads, D = columns(qkv) / (3 * H), T = shape.sequence_length;
  const QkvColumns at = qkv_columns(shape.order, H, D);
  const auto wide = [&](int64_t begin) { return Range{begin, begin + D}; };
  for (int64_t b = 0; b < rows(qkv) / T; ++b)
    for (int64_t h = 0; h < H; ++h)
      f(Head{{b * T, (b + 1) * T}, wide(at.begin(0, h)), wide(at.begin(1, h)), wide(at.begin(2, h)), wide(h * D), b * H + h});
}

/// Rows of one sequence: positions [first, last) of head.sequence.
Range positions(const Head& head, int64_t first, int64_t last) {
  return {head.sequence.begin + first, head.sequence.begin + last};
}

/// The probabilities of queries [first, first + rows) for keys [0, keys) from their scores, which are overwritten; keeps their log sums.
template <class S>
void causal_softmax(const Exec& exec, const Block<float>& scores, int64_t first, const Matrix<float>& log_sum, int64_t head,
                    const Block<S>& p) {
  Kokkos::parallel_for("lawa::causal_softmax", over(exec, scores.rows), KOKKOS_LAMBDA(int64_t i) {
    float* const row = scores.data + i * scores.stride;
    S* const to = p.data + i * p.stride;
    const int64_t visible = first + i + 1;
    float top = row[0], sum = 0;
#pragma omp simd reduction(max : top)
    for (int64_t u = 0; u < visible; ++u) top = larger(top, row[u]);
#pragma omp simd reduction(+ : sum)
    for (int64_t u = 0; u < visible; ++u) sum += row[u] = exponential(row[u] - top);
    const float inverse = 1 / sum;
#pragma omp simd
    for (int64_t u = 0; u < visible; ++u) to[u] = row[u] * inverse;
#pragma omp simd
    for (int64_t u = visible; u < p.columns; ++u) to[u] = 0.0f;
    log_sum(head, first + i) = top + static_cast<float>(logarithm(sum));
  });
}

/// The probabilities again, from the scores and their log sums.
template <class S>
void causal_exp(const Exec& exec, const Block<float>& scores, int64_t first, const Matrix<float>& log_sum, int64_t head,
                const Block<S>& p) {
  Kokkos::parallel_for("lawa::causal_exp", over(exec, scores.rows), KOKKOS_LAMBDA(int64_t i) {
    const float* const row = scores.data + i * scores.stride;
    S* const to = p.data + i * p.stride;
    const int64_t visible = first + i + 1;
    const float shift = log_sum(head, first + i);
#pragma omp simd
    for (int64_t u = 0; u < visible; ++u) to[u] = exponential(row[u] - shift);
#pragma omp simd
    for (int64_t u = visible; u < p.columns; ++u) to[u] = 0.0f;
  });
}

/// dS = P * (dP - rowsum(dY * Y))
template <class S>
void softmax_backward(const Exec& exec, const Block<S>& p, const Block<float>& dp, const Block<S>& y, const Block<S>& dy,
                      const Block<S>& ds) {
  Kokkos::parallel_for("lawa::softmax_backward", over(exec, p.rows), KOKKOS_LAMBDA(int64_t i) {
    const S* const pi = p.data + i * p.stride;
    const S* const yi = y.data + i * y.stride;
    const S* const dyi = dy.data + i * dy.stride;
    const float* const from = dp.data + i * dp.stride;
    S* const to = ds.data + i * ds.stride;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < y.columns; ++c) sum += dyi[c] * yi[c];
#pragma omp simd
    for (int64_t u = 0; u < p.columns; ++u) to[u] = pi[u] * (from[u] - sum);
  });
}

/// What was added up in float, as S.
template <class S>
void keep(const Exec& exec, const Matrix<float>& sums, const Block<S>& to) {
  Kokkos::parallel_for("lawa::keep", over(exec, to.rows), KOKKOS_LAMBDA(int64_t i) {
    const float* const from = &sums(i, 0);
    S* const row = to.data + i * to.stride;
#pragma omp simd
    for (int64_t c = 0; c < to.columns; ++c) row[c] = from[c];
  });
}

}  // namespace

template <class S>
AttentionRoom<S> AttentionRoom<S>::map(Cursor& at, int64_t length, int64_t width, bool backward) {
  const int64_t tile = std::min(length, attention_tile), more = backward ? 1 : 0;
  AttentionRoom room;
  if (is_fused<S>(length, width)) return room;
  room.scores = at.matrix<float>(tile, length);
  room.score_gradients = at.matrix<float>(more * tile, length);
  if constexpr (std::is_same_v<S, float>) {
    room.p = room.scores;
    room.ds = room.score_gradients;
  } else {
    room.p = at.matrix<S>(tile, length);
    room.ds = at.matrix<S>(more * tile, length);
  }
  room.dk = at.matrix<float>(more * length, width);
  room.dv = at.matrix<float>(more * length, width);
  return room;
}

template <class S>
void attend(const Exec& exec, const Attention<S>& shape, const Matrix<S>& qkv, const Matrix<float>& log_sum, const Matrix<S>& y) {
  const Phase phase("attention");
  if constexpr (std::is_same_v<S, bf16>)
    if (is_fused(shape, qkv)) return detail::fused_attend(exec, shape, qkv, log_sum, y);
  const AttentionRoom<S>& room = shape.room;
  const int64_t T = shape.sequence_length, step = rows(room.scores);
  for_each_head(shape, qkv, [&](const Head& head) {
    for (int64_t first = 0; first < T; first += step) {
      const int64_t last = std::min(first + step, T);
      const Range queries = positions(head, first, last), keys = positions(head, 0, last);
      const auto scores = corner(room.scores, last - first, last);
      const auto p = corner(room.p, last - first, last);
      gemm(exec, shape.scale, block(qkv, queries, head.q), Transpose::no, block(qkv, keys, head.k), Transpose::yes, 0, scores);
      causal_softmax(exec, scores, first, log_sum, head.index, p);
      gemm(exec, 1, p, Transpose::no, block(qkv, keys, head.v), Transpose::no, 0, block(y, queries, head.y));
    }
  });
}

template <class S>
void attend_backward(const Exec& exec, const Attention<S>& shape, const Matrix<S>& qkv, const Matrix<float>& log_sum, const Matrix<S>& y,
                     const Matrix<S>& dy, const Matrix<S>& dqkv) {
  const Phase phase("attention");
  if constexpr (std::is_same_v<S, bf16>)
    if (is_fused(shape, qkv)) return detail::fused_attend_backward(exec, shape, qkv, log_sum, y, dy, dqkv);
  const AttentionRoom<S>& room = shape.room;
  const int64_t T = shape.sequence_length, step = rows(room.scores), tiles = (T + step - 1) / step;
  for_each_head(shape, qkv, [&](const Head& head) {
    for (int64_t i = tiles - 1; i >= 0; --i) {  // the last tile sees every key, so it overwrites; the others add
      const int64_t first = i * step, last = std::min(first + step, T);
      const float beta = i == tiles - 1 ? 0 : 1;
      const Range queries = positions(head, first, last), keys = positions(head, 0, last);
      const auto q = block(qkv, queries, head.q), k = block(qkv, keys, head.k), v = block(qkv, keys, head.v);
      const auto yi = block(y, queries, head.y), dyi = block(dy, queries, head.y);
      const auto scores = corner(room.scores, last - first, last), dp = corner(room.score_gradients, last - first, last);
      const auto p = corner(room.p, last - first, last), ds = corner(room.ds, last - first, last);
      gemm(exec, shape.scale, q, Transpose::no, k, Transpose::yes, 0, scores);
      causal_exp(exec, scores, first, log_sum, head.index, p);
      gemm(exec, 1, p, Transpose::yes, dyi, Transpose::no, beta, corner(room.dv, last, v.columns));
      gemm(exec, 1, dyi, Transpose::no, v, Transpose::yes, 0, dp);
      softmax_backward(exec, p, dp, yi, dyi, ds);
      gemm(exec, shape.scale, ds, Transpose::no, k, Transpose::no, 0, block(dqkv, queries, head.q));
      gemm(exec, shape.scale, ds, Transpose::yes, q, Transpose::no, beta, corner(room.dk, last, k.columns));
    }
    keep(exec, room.dk, block(dqkv, head.sequence, head.k));
    keep(exec, room.dv, block(dqkv, head.sequence, head.v));
  });
}

#define LAWA_INSTANTIATE(S)                                                                                                          \
  template struct AttentionRoom<S>;                                                                                                  \
  template void attend(const Exec&, const Attention<S>&, const Matrix<S>&, const Matrix<float>&, const Matrix<S>&);                  \
  template void attend_backward(const Exec&, const Attention<S>&, const Matrix<S>&, const Matrix<float>&, const Matrix<S>&,          \
                                const Matrix<S>&, const Matrix<S>&);
LAWA_INSTANTIATE(float)
LAWA_INSTANTIATE(bf16)

}  // namespace lawa
