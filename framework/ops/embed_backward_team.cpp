#include <numeric>
#include <vector>

#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

/// The rows sorted by their tokens, and in order for each: `rows` (N), of which begin[i] to begin[i + 1] have the i-th token that occurs.
struct SortedRows {
  std::vector<int32_t> rows, tokens, begin;
};

SortedRows sorted_by_token(const HostVector<int32_t>& ids, int64_t vocabulary) {
  std::vector<int32_t> next(static_cast<size_t>(vocabulary) + 1, 0);
  const size_t n = ids.size();
  for (size_t i = 0; i < n; ++i) ++next[static_cast<size_t>(ids(i)) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  SortedRows sorted{std::vector<int32_t>(n), {}, {}};
  for (size_t token = 0; token + 1 < next.size(); ++token)
    if (next[token] < next[token + 1]) {
      sorted.tokens.push_back(static_cast<int32_t>(token));
      sorted.begin.push_back(next[token]);
    }
  sorted.begin.push_back(static_cast<int32_t>(n));
  for (size_t i = 0; i < n; ++i) sorted.rows[static_cast<size_t>(next[static_cast<size_t>(ids(i))]++)] = static_cast<int32_t>(i);
  return sorted;
}

/// Copied to the device as the queue comes to it.
Tokens on_device(const Exec& exec, std::vector<int32_t>& numbers, int32_t* to) {
  const Tokens device(to, numbers.size());
  Kokkos::deep_copy(exec, device, HostVector<int32_t>(numbers.data(), numbers.size()));
  return device;
}

}  // namespace

// Several rows may add into one row of dwte, in the rows' order. A row of dwte has a team to itself: some tokens are very frequent.
void embed_backward(const Exec& exec, const HostVector<int32_t>& ids, int64_t sequence_length, const Matrix<float>& dx, const Matrix<float>& dwte,
                    const Matrix<float>& dwpe) {
  const int64_t C = columns(dx), N = rows(dx), T = sequence_length;
  if (N == 0) return;
  SortedRows sorted = sorted_by_token(ids, rows(dwte));
  int32_t* const room = scratch<int32_t>(exec, 3 * N + 1);
  const Tokens order = on_device(exec, sorted.rows, room), tokens = on_device(exec, sorted.tokens, room + N);
  const Tokens begin = on_device(exec, sorted.begin, room + 2 * N);
  exec.fence();  // `sorted` ends here, and a copy may still read it
  for_rows("lawa::embed_backward", exec, rows(tokens), wide_row, KOKKOS_LAMBDA(const Row& row, int64_t i) {
    const int64_t first = begin(i), last = begin(i + 1);
    float* const token = &dwte(tokens(i), 0);
    row.assign(C, token, [&](int64_t c) {
      float sum = token[c];
      for (int64_t n = first; n < last; ++n) sum += dx(order(n), c);
      return sum;
    });
  });
  if (rows(dwpe) == 0) return;
  for_rows("lawa::embed_backward_positions", exec, std::min(T, N), C, KOKKOS_LAMBDA(const Row& row, int64_t t) {
    float* const position = &dwpe(t, 0);
    row.assign(C, position, [&](int64_t c) {
      float sum = position[c];
      for (int64_t n = t; n < N; n += T) sum += dx(n, c);
      return sum;
    });
  });
}

}  // namespace lawa
