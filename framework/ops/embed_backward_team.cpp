#include <numeric>
#include <vector>

#include "ops/ops.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

/// Which rows have a token, token by token and each one's in order: `order` (N) lists the rows, and those of the i-th token that occurs are
/// order[begin[i]] to order[begin[i + 1]].
struct RowsOfTokens {
  std::vector<int32_t> order, begin;
};

RowsOfTokens rows_of_tokens(const HostVector<int32_t>& ids, int64_t vocabulary) {
  std::vector<int32_t> next(static_cast<size_t>(vocabulary) + 1, 0);
  const auto n = static_cast<size_t>(rows(ids));
  for (size_t i = 0; i < n; ++i) ++next[static_cast<size_t>(ids(i)) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  RowsOfTokens sorted{std::vector<int32_t>(n), {}};
  for (size_t token = 0; token + 1 < next.size(); ++token)
    if (next[token] < next[token + 1]) sorted.begin.push_back(next[token]);
  sorted.begin.push_back(static_cast<int32_t>(n));
  for (size_t i = 0; i < n; ++i) sorted.order[static_cast<size_t>(next[static_cast<size_t>(ids(i))]++)] = static_cast<int32_t>(i);
  return sorted;
}

Tokens on_device(std::vector<int32_t>& numbers, int32_t* to) {
  const Tokens device(to, numbers.size());
  copy(device, HostVector<int32_t>(numbers.data(), numbers.size()));
  return device;
}

}  // namespace

// Several rows may add into one row of dwte, in the rows' order: a team each.
void embed_backward(const Exec& exec, const Tokens& ids, int64_t sequence_length, const Matrix<float>& dx, const Matrix<float>& dwte,
                    const Matrix<float>& dwpe) {
  const int64_t C = columns(dx), N = rows(dx), T = sequence_length;
  if (N == 0) return;
  RowsOfTokens sorted = rows_of_tokens(on_host(ids), rows(dwte));
  int32_t* const room = scratch<int32_t>(2 * N + 1);
  exec.fence();  // what used the scratch memory before
  const Tokens order = on_device(sorted.order, room), begin = on_device(sorted.begin, room + N);
  for_rows("lawa::embed_backward", exec, rows(begin) - 1, C, KOKKOS_LAMBDA(const Row& row, int64_t i) {
    const int64_t first = begin(i), last = begin(i + 1);
    float* const token = &dwte(ids(order(first)), 0);
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
