// loops.hpp for a device. A narrow row has a warp's lanes, and a team some rows; a wide row has a team to itself. Thread t of a row has the
// elements t, t + threads, …, so that neighbours read neighbours.
#pragma once
#include "tensor/loop_values.hpp"
#include "tensor/math.hpp"
#include "tensor/scratch.hpp"

template <>
struct Kokkos::reduction_identity<lawa::Two> {
  KOKKOS_FORCEINLINE_FUNCTION static lawa::Two sum() { return {}; }
};

namespace lawa {
namespace detail {

constexpr int lanes = kernels_run_at_once ? 1 : 32;  // of a warp
constexpr int many = 4;                              // elements that are read before any is written: loads that don't wait for each other

/// to[i] = f(i) for i = first, first + stride, …: `many`, or those below end.
template <class T, class F>
KOKKOS_INLINE_FUNCTION void assign_many(int64_t first, int64_t stride, T* to, const F& f) {
  decltype(f(first)) values[many];
  for (int64_t j = 0; j < many; ++j) values[j] = f(first + j * stride);
  for (int64_t j = 0; j < many; ++j) to[first + j * stride] = values[j];
}
template <class T, class F>
KOKKOS_INLINE_FUNCTION void assign_some(int64_t first, int64_t stride, int64_t end, T* to, const F& f) {
  if (first + (many - 1) * stride < end) return assign_many(first, stride, to, f);
  for (int64_t i = first; i < end; i += stride) to[i] = f(i);
}

}  // namespace detail

class Row {
 public:
  using Team = Kokkos::TeamPolicy<Exec>::member_type;
  KOKKOS_INLINE_FUNCTION Row(const Team& team, bool wide)
      : team_(team), wide_(wide), threads_(wide ? detail::lanes * team.team_size() : detail::lanes) {}

  // Counts are of a row, and fit an int: half the arithmetic of an index of 64 bits.
  template <class F>
  KOKKOS_INLINE_FUNCTION void each(int64_t n, const F& f) const {
    const int end = static_cast<int>(n);
    on_threads([&](int t) {
      for (int i = t; i < end; i += threads_) f(i);
    });
  }

  template <class T, class F>
  KOKKOS_INLINE_FUNCTION void assign(int64_t n, T* to, const F& f) const {
    const int end = static_cast<int>(n), some = detail::many * threads_;
    on_threads([&](int t) {
      int i = t;
      for (; i + some - threads_ < end; i += some) detail::assign_many(i, threads_, to, f);
      for (; i < end; i += threads_) to[i] = f(i);
    });
  }

  template <class F>
  KOKKOS_INLINE_FUNCTION float sum(int64_t n, const F& f) const {
    const int end = static_cast<int>(n);
    return total<float>([&](float& part, int t) {
      for (int i = t; i < end; i += threads_) part += f(i);
    });
  }
  template <class F>
  KOKKOS_INLINE_FUNCTION Two sums(int64_t n, const F& f) const {
    const int end = static_cast<int>(n);
    return total<Two>([&](Two& part, int t) {
      for (int i = t; i < end; i += threads_) part += f(i);
    });
  }

  /// One reading: a thread's sum is scaled down whenever it meets larger numbers.
  template <class F>
  KOKKOS_INLINE_FUNCTION SoftmaxSum softmax_sum(int64_t n, const F& f) const {
    constexpr int many = detail::many;
    const int end = static_cast<int>(n), some = many * threads_;
    float mine = lowest, sum = 0, top = lowest;
    const auto rise = [&](float x) {
      if (mine < x) {
        sum *= exponential(mine - x);
        mine = x;
      }
    };
    on_threads([&](int t) {
      int i = t;
      for (; i + some - threads_ < end; i += some) {
        float x[many];
        for (int j = 0; j < many; ++j) x[j] = f(i + j * threads_);
        float largest = x[0];
        for (int j = 1; j < many; ++j) largest = larger(largest, x[j]);
        rise(largest);
        for (int j = 0; j < many; ++j) sum += exponential(x[j] - mine);
      }
      for (; i < end; i += threads_) {
        const float x = f(i);
        rise(x);
        sum += exponential(x - mine);
      }
    });
    reduce([&](int, float& largest) { largest = larger(largest, mine); }, Kokkos::Max<float>(top));
    return {top, total<float>([&](float& part, int) { part += sum * exponential(mine - top); })};
  }

  KOKKOS_INLINE_FUNCTION void barrier() const {
    if (wide_) team_.team_barrier();  // a warp's loops end together
  }
  template <class F>
  KOKKOS_INLINE_FUNCTION void once(const F& f) const {
    if (wide_) Kokkos::single(Kokkos::PerTeam(team_), f);
    else Kokkos::single(Kokkos::PerThread(team_), f);
  }

 private:
  static constexpr float lowest = -3.4e38f;

  /// f(t) on thread t of the row.
  template <class F>
  KOKKOS_INLINE_FUNCTION void on_threads(const F& f) const {
    if (wide_) Kokkos::parallel_for(Kokkos::TeamVectorRange(team_, threads_), f);
    else Kokkos::parallel_for(Kokkos::ThreadVectorRange(team_, threads_), f);
  }
  template <class F, class Reducer>
  KOKKOS_INLINE_FUNCTION void reduce(const F& f, const Reducer& reducer) const {
    if (wide_) Kokkos::parallel_reduce(Kokkos::TeamVectorRange(team_, threads_), f, reducer);
    else Kokkos::parallel_reduce(Kokkos::ThreadVectorRange(team_, threads_), f, reducer);
  }
  /// What all threads' f(part, t) have added to `part`; every thread has it.
  template <class T, class F>
  KOKKOS_INLINE_FUNCTION T total(const F& f) const {
    T sum{};
    reduce([&](int t, T& part) { f(part, t); }, Kokkos::Sum<T>(sum));
    return sum;
  }

  const Team& team_;
  bool wide_;
  int threads_;
};

constexpr int64_t wide_row = 8192;  ///< elements from which on a row has a team

template <class F>
void for_rows(const char* name, const Exec& exec, int64_t n_rows, int64_t width, const F& f) {
  const bool wide = width >= wide_row;
  const auto of_team = KOKKOS_LAMBDA(const Row::Team& team) {
    const int64_t n = wide ? team.league_rank() : static_cast<int64_t>(team.league_rank()) * team.team_size() + team.team_rank();
    if (n < n_rows) f(Row(team, wide), n);
  };
  int team = wide ? 16 : 8;
  if constexpr (kernels_run_at_once)
    team = std::min(team, Kokkos::TeamPolicy<Exec>(exec, 1, 1).team_size_max(of_team, Kokkos::ParallelForTag()));
  const int64_t league = wide ? n_rows : (n_rows + team - 1) / team;
  Kokkos::parallel_for(name, Kokkos::TeamPolicy<Exec>(exec, static_cast<int>(league), team, detail::lanes), of_team);
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
  float* const partial = scratch<float>(exec, n_blocks * n_columns);
  Kokkos::parallel_for("lawa::column_sums_of_blocks", over(exec, n_blocks * n_columns), KOKKOS_LAMBDA(int64_t i) {
    const int64_t block = i / n_columns, column = i - block * n_columns;
    const int64_t end = n_rows < (block + 1) * height ? n_rows : (block + 1) * height;
    float sum = 0;
    for (int64_t n = block * height; n < end; ++n) sum += value(n, column);
    partial[i] = sum;
  });
  for_rows("lawa::add_column_sums", exec, n_columns, n_blocks, KOKKOS_LAMBDA(const Row& row, int64_t column) {
    const float sum = row.sum(n_blocks, [&](int64_t block) { return partial[block * n_columns + column]; });
    row.once([&] { out[column] += sum; });
  });
}

}  // namespace lawa
