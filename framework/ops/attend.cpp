#include "ops/attend.hpp"

#include "ops/gemm.hpp"
#include "tensor/math.hpp"
#include "tensor/phases.hpp"

namespace lawa {
namespace {

/// One head of one sequence: where its rows and columns lie, and its tiles of queries.
struct Head {
  Range sequence;  ///< rows of qkv and y
  Range q, k, v;   ///< columns of qkv
  int64_t index;   ///< b*H + h, the row of log_sum
};

template <class F>
void for_each_head(const Attention& shape, const Matrix<float>& qkv, F&& f) {
  const int64_t C = columns(qkv) / 3, D = C / shape.heads, T = shape.sequence_length;
  for (int64_t b = 0; b < rows(qkv) / T; ++b)
    for (int64_t h = 0; h < shape.heads; ++h)
      f(Head{{b * T, (b + 1) * T}, {h * D, (h + 1) * D}, {C + h * D, C + (h + 1) * D}, {2 * C + h * D, 2 * C + (h + 1) * D},
             b * shape.heads + h});
}

/// Rows of one sequence: positions [first, last) of head.sequence.
Range positions(const Head& head, int64_t first, int64_t last) {
  return {head.sequence.begin + first, head.sequence.begin + last};
}

/// Turns the scores of queries [first, first + rows) against keys [0, keys) into probabilities in place; keeps their log sums.
void causal_softmax(const Exec& exec, const Block& scores, int64_t first, const Matrix<float>& log_sum, int64_t head) {
  float* const p = scores.data;
  const int64_t stride = scores.stride, keys = scores.columns;
  Kokkos::parallel_for("lawa::causal_softmax", over(exec, scores.rows), KOKKOS_LAMBDA(int64_t i) {
    float* const row = p + i * stride;
    const int64_t visible = first + i + 1;
    float top = row[0], sum = 0;
#pragma omp simd reduction(max : top)
    for (int64_t u = 0; u < visible; ++u) top = larger(top, row[u]);
#pragma omp simd reduction(+ : sum)
    for (int64_t u = 0; u < visible; ++u) sum += row[u] = exponential(row[u] - top);
    const float inverse = 1 / sum;
#pragma omp simd
    for (int64_t u = 0; u < visible; ++u) row[u] *= inverse;
#pragma omp simd
    for (int64_t u = visible; u < keys; ++u) row[u] = 0;
    log_sum(head, first + i) = top + static_cast<float>(logarithm(sum));
  });
}

/// The probabilities again, from the scores and their log sums.
void causal_exp(const Exec& exec, const Block& scores, int64_t first, const Matrix<float>& log_sum, int64_t head) {
  float* const p = scores.data;
  const int64_t stride = scores.stride, keys = scores.columns;
  Kokkos::parallel_for("lawa::causal_exp", over(exec, scores.rows), KOKKOS_LAMBDA(int64_t i) {
    float* const row = p + i * stride;
    const int64_t visible = first + i + 1;
    const float shift = log_sum(head, first + i);
#pragma omp simd
    for (int64_t u = 0; u < visible; ++u) row[u] = exponential(row[u] - shift);
#pragma omp simd
    for (int64_t u = visible; u < keys; ++u) row[u] = 0;
  });
}

/// dS = P * (dP - rowsum(dY * Y)), over dP.
void softmax_backward(const Exec& exec, const Block& probabilities, const Block& gradients, const Block& y, const Block& dy) {
  Kokkos::parallel_for("lawa::softmax_backward", over(exec, probabilities.rows), KOKKOS_LAMBDA(int64_t i) {
    const float* const p = probabilities.data + i * probabilities.stride;
    const float* const yi = y.data + i * y.stride;
    const float* const dyi = dy.data + i * dy.stride;
    float* const d = gradients.data + i * gradients.stride;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < y.columns; ++c) sum += dyi[c] * yi[c];
#pragma omp simd
    for (int64_t u = 0; u < probabilities.columns; ++u) d[u] = p[u] * (d[u] - sum);
  });
}

Block tile(const Matrix<float>& room, int64_t queries, int64_t keys) { return {room.data(), queries, keys, columns(room)}; }

}  // namespace

void attend(const Exec& exec, const Attention& shape, const Matrix<float>& qkv, const Matrix<float>& log_sum,
            const Matrix<float>& y) {
  const Phase phase("attention");
  const int64_t T = shape.sequence_length, step = rows(shape.tile_a);
  for_each_head(shape, qkv, [&](const Head& head) {
    for (int64_t first = 0; first < T; first += step) {
      const int64_t last = std::min(first + step, T);
      const Range queries = positions(head, first, last), keys = positions(head, 0, last);
      const Block p = tile(shape.tile_a, last - first, last);
      gemm(exec, shape.scale, block(qkv, queries, head.q), Transpose::no, block(qkv, keys, head.k), Transpose::yes, 0, p, shape.precision);
      causal_softmax(exec, p, first, log_sum, head.index);
      gemm(exec, 1, p, Transpose::no, block(qkv, keys, head.v), Transpose::no, 0, block(y, queries, head.q), shape.precision);
    }
  });
}

void attend_backward(const Exec& exec, const Attention& shape, const Matrix<float>& qkv, const Matrix<float>& log_sum,
                     const Matrix<float>& y, const Matrix<float>& dy, const Matrix<float>& dqkv) {
  const Phase phase("attention");
  const int64_t T = shape.sequence_length, step = rows(shape.tile_a), tiles = (T + step - 1) / step;
  for_each_head(shape, qkv, [&](const Head& head) {
    for (int64_t i = tiles - 1; i >= 0; --i) {  // the last tile sees every key, so it overwrites; the others add
      const int64_t first = i * step, last = std::min(first + step, T);
      const float beta = i == tiles - 1 ? 0 : 1;
      const Range queries = positions(head, first, last), keys = positions(head, 0, last);
      const Block q = block(qkv, queries, head.q), k = block(qkv, keys, head.k), v = block(qkv, keys, head.v);
      const Block yi = block(y, queries, head.q), dyi = block(dy, queries, head.q);
      const Block p = tile(shape.tile_a, last - first, last), ds = tile(shape.tile_b, last - first, last);
      gemm(exec, shape.scale, q, Transpose::no, k, Transpose::yes, 0, p, shape.precision);
      causal_exp(exec, p, first, log_sum, head.index);
      gemm(exec, 1, p, Transpose::yes, dyi, Transpose::no, beta, block(dqkv, keys, head.v), shape.precision);
      gemm(exec, 1, dyi, Transpose::no, v, Transpose::yes, 0, ds, shape.precision);
      softmax_backward(exec, p, ds, yi, dyi);
      gemm(exec, shape.scale, ds, Transpose::no, k, Transpose::no, 0, block(dqkv, queries, head.q), shape.precision);
      gemm(exec, shape.scale, ds, Transpose::yes, q, Transpose::no, beta, block(dqkv, keys, head.k), shape.precision);
    }
  });
}

}  // namespace lawa
