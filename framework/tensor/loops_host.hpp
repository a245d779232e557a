// loops.hpp for a CPU: inner loops become vector instructions. The order of sums is the compiler's for the same loop written out.
#pragma once
#include "tensor/loop_values.hpp"
#include "tensor/math.hpp"

namespace lawa {

struct Row {
  template <class F>
  void each(int64_t n, const F& f) const {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) f(i);
  }
  template <class T, class F>
  void assign(int64_t n, T* to, const F& f) const {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) to[i] = f(i);
  }
  template <class F>
  float sum(int64_t n, const F& f) const {
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; ++i) total += f(i);
    return total;
  }
  template <class F>
  Two sums(int64_t n, const F& f) const {
    float first = 0, second = 0;
#pragma omp simd reduction(+ : first, second)
    for (int64_t i = 0; i < n; ++i) {
      const Two one = f(i);
      first += one.first;
      second += one.second;
    }
    return {first, second};
  }
  template <class F>
  SoftmaxSum softmax_sum(int64_t n, const F& f) const {
    float top = f(0);
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; ++i) top = larger(top, f(i));
    return {top, sum(n, [&](int64_t i) { return exponential(f(i) - top); })};
  }
  void barrier() const {}
  template <class F>
  void once(const F& f) const {
    f();
  }
};

namespace detail {
constexpr int64_t chunk = 4096;  // elements of one work item
}

template <class F>
void for_rows(const char* name, const Exec& exec, int64_t n_rows, int64_t, const F& f) {
  Kokkos::parallel_for(name, over(exec, n_rows), [=](int64_t n) { f(Row{}, n); });
}

template <class F>
void for_elements(const char* name, const Exec& exec, Range range, const F& f) {
  Kokkos::parallel_for(name, over(exec, (range.size() + detail::chunk - 1) / detail::chunk), [=](int64_t item) {
    const int64_t begin = range.begin + item * detail::chunk, end = begin + detail::chunk < range.end ? begin + detail::chunk : range.end;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

template <class T, class F>
void assign_elements(const char* name, const Exec& exec, int64_t n, T* to, const F& f) {
  for_elements(name, exec, {0, n}, [=](int64_t i) { to[i] = f(i); });
}

template <class F>
double sum_elements(const char* name, const Exec& exec, int64_t n, const F& f) {
  double total = 0;
  Kokkos::parallel_reduce(name, over(exec, (n + detail::chunk - 1) / detail::chunk), [=](int64_t item, double& sum) {
    const int64_t begin = item * detail::chunk, end = begin + detail::chunk < n ? begin + detail::chunk : n;
    double part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t i = begin; i < end; ++i) part += f(i);
    sum += part;
  }, total);
  return total;
}

// Each work item owns a few columns, so that no two write to one place.
template <class Value>
void add_column_sums(const Exec& exec, int64_t n_rows, const Vector<float>& sums, const Value& value) {
  constexpr int64_t width = 64;
  const int64_t n_columns = rows(sums);
  float* const out = sums.data();
  Kokkos::parallel_for("lawa::add_column_sums", over(exec, (n_columns + width - 1) / width), [=](int64_t chunk) {
    const int64_t begin = chunk * width;
    const int64_t count = n_columns - begin < width ? n_columns - begin : width;
    float partial[width] = {};
    for (int64_t n = 0; n < n_rows; ++n)
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) partial[i] += value(n, begin + i);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[begin + i] += partial[i];
  });
}

}  // namespace lawa
