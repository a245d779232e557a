// loops.hpp for a device: a team of threads a row. Thread t has the elements t, t + threads, …, so that neighbours read neighbours.
#pragma once
#include "tensor/math.hpp"
#include "tensor/scratch.hpp"

template <>
struct Kokkos::reduction_identity<lawa::Two> {
  KOKKOS_FORCEINLINE_FUNCTION static lawa::Two sum() { return {}; }
};

namespace lawa {

namespace detail {

constexpr int64_t many = 4;  // elements that are read before any is written: loads that don't wait for each other

/// to[i] = f(i) for i = first, first + stride, … below end; at most `many`.
template <class T, class F>
KOKKOS_INLINE_FUNCTION void assign_some(int64_t first, int64_t stride, int64_t end, T* to, const F& f) {
  decltype(f(first)) values[many];
  for (int64_t j = 0; j < many; ++j)
    if (first + j * stride < end) values[j] = f(first + j * stride);
  for (int64_t j = 0; j < many; ++j)
    if (first + j * stride < end) to[first + j * stride] = values[j];
}

}  // namespace detail

class Row {
 public:
  using Team = Kokkos::TeamPolicy<Exec>::member_type;
  KOKKOS_INLINE_FUNCTION explicit Row(const Team& team) : team_(team) {}

  template <class F>
  KOKKOS_INLINE_FUNCTION void each(int64_t n, const F& f) const {
    for (int64_t i = team_.team_rank(); i < n; i += team_.team_size()) f(i);
  }

  template <class T, class F>
  KOKKOS_INLINE_FUNCTION void assign(int64_t n, T* to, const F& f) const {
    const int64_t size = team_.team_size();
    for (int64_t i = team_.team_rank(); i < n; i += detail::many * size) detail::assign_some(i, size, n, to, f);
  }

  template <class F>
  KOKKOS_INLINE_FUNCTION float sum(int64_t n, const F& f) const {
    float total = 0;
    Kokkos::parallel_reduce(Kokkos::TeamThreadRange(team_, n), [&](int64_t i, float& part) { part += f(i); }, total);
    return total;
  }
  template <class F>
  KOKKOS_INLINE_FUNCTION Two sums(int64_t n, const F& f) const {
    Two total;
    Kokkos::parallel_reduce(Kokkos::TeamThreadRange(team_, n), [&](int64_t i, Two& part) { part += f(i); }, Kokkos::Sum<Two>(total));
    return total;
  }

  /// One reading: a thread's sum is scaled down whenever it meets a larger number.
  template <class F>
  KOKKOS_INLINE_FUNCTION SoftmaxSum softmax_sum(int64_t n, const F& f) const {
    float mine = lowest, part = 0;
    for (int64_t i = team_.team_rank(); i < n; i += team_.team_size()) {
      const float x = f(i);
      if (mine < x) {
        part *= exponential(mine - x);
        mine = x;
      }
      part += exponential(x - mine);
    }
    float top = lowest, sum = 0;
    const auto once = Kokkos::TeamThreadRange(team_, team_.team_size());  // each thread comes once
    Kokkos::parallel_reduce(once, [&](int, float& largest) { largest = larger(largest, mine); }, Kokkos::Max<float>(top));
    Kokkos::parallel_reduce(once, [&](int, float& total) { total += part * exponential(mine - top); }, sum);
    return {top, sum};
  }

  template <class F>
  KOKKOS_INLINE_FUNCTION void once(const F& f) const {
    if (team_.team_rank() == 0) f();
  }

 private:
  static constexpr float lowest = -3.4e38f;
  const Team& team_;
};

namespace detail {

/// Threads of a team for rows of about `width` elements: some four elements a thread, whole warps.
inline int threads_for(int64_t width) {
  int threads = 32;
  while (threads < 512 && threads * 4 < width) threads *= 2;
  return threads;
}

/// A team a row.
template <class F, class Tag>
Kokkos::TeamPolicy<Exec> teams(const Exec& exec, int64_t n_rows, int64_t width, const F& f, Tag tag) {
  const auto league = static_cast<int>(n_rows);
  if constexpr (kernels_run_at_once) return {exec, league, std::min(threads_for(width), Kokkos::TeamPolicy<Exec>(exec, league, 1).team_size_max(f, tag))};
  else return {exec, league, threads_for(width)};
}

}  // namespace detail

template <class F>
void for_rows(const char* name, const Exec& exec, int64_t n_rows, int64_t width, const F& f) {
  const auto of_team = KOKKOS_LAMBDA(const Row::Team& team) { f(Row(team), team.league_rank()); };
  Kokkos::parallel_for(name, detail::teams(exec, n_rows, width, of_team, Kokkos::ParallelForTag()), of_team);
}

template <class F>
double sum_rows(const char* name, const Exec& exec, int64_t n_rows, int64_t width, const F& f) {
  double total = 0;
  const auto of_team = KOKKOS_LAMBDA(const Row::Team& team, double& sum) {
    const double value = f(Row(team), team.league_rank());
    if (team.team_rank() == 0) sum += value;
  };
  Kokkos::parallel_reduce(name, detail::teams(exec, n_rows, width, of_team, Kokkos::ParallelReduceTag()), of_team, total);
  return total;
}

template <class F>
void for_elements(const char* name, const Exec& exec, Range range, const F& f) {
  const Kokkos::RangePolicy<Exec, Kokkos::IndexType<int64_t>> all(exec, range.begin, range.end);
  Kokkos::parallel_for(name, all, f);
}

template <class T, class F>
void assign_elements(const char* name, const Exec& exec, int64_t n, T* to, const F& f) {
  constexpr int64_t stride = 128, block = stride * detail::many;  // of elements
  Kokkos::parallel_for(name, over(exec, (n + block - 1) / block * stride), KOKKOS_LAMBDA(int64_t t) {
    detail::assign_some(t / stride * block + t % stride, stride, n, to, f);
  });
}

template <class F>
double sum_elements(const char* name, const Exec& exec, int64_t n, const F& f) {
  double total = 0;
  Kokkos::parallel_reduce(name, over(exec, n), KOKKOS_LAMBDA(int64_t i, double& sum) { sum += f(i); }, total);
  return total;
}

// Two passes: sums over blocks of rows, then over the blocks.
template <class Value>
void add_column_sums(const Exec& exec, int64_t n_rows, const Vector<float>& sums, const Value& value) {
  constexpr int64_t height = 256;
  const int64_t n_columns = rows(sums), n_blocks = (n_rows + height - 1) / height;
  if (n_columns == 0 || n_rows == 0) return;
  float* const out = sums.data();
  float* const partial = scratch<float>(n_blocks * n_columns);
  Kokkos::parallel_for("lawa::column_sums_of_blocks", over(exec, n_blocks * n_columns), KOKKOS_LAMBDA(int64_t i) {
    const int64_t block = i / n_columns, column = i - block * n_columns;
    const int64_t end = n_rows < (block + 1) * height ? n_rows : (block + 1) * height;
    float sum = 0;
    for (int64_t n = block * height; n < end; ++n) sum += value(n, column);
    partial[i] = sum;
  });
  for_rows("lawa::add_column_sums", exec, n_columns, 0, KOKKOS_LAMBDA(const Row& row, int64_t column) {
    const float sum = row.sum(n_blocks, [&](int64_t block) { return partial[block * n_columns + column]; });
    row.once([&] { out[column] += sum; });
  });
}

}  // namespace lawa
