// Random and given values in views on the device, and back as vectors.
#pragma once
#include <limits>
#include <vector>

#include "core/philox.hpp"
#include "tensor/bf16.hpp"
#include "tensor/tensor.hpp"

namespace lawa::test {

inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

/// n normally distributed floats; the same for the same seed.
inline std::vector<float> normals(int64_t n, uint64_t seed, double deviation = 1, double mean = 0) {
  std::vector<float> x;
  for (uint64_t i = 0; i < static_cast<uint64_t>(n); ++i)
    x.push_back(static_cast<float>(mean + deviation * random_normal(seed, RandomStream::test, i)));
  return x;
}

/// n token ids below `vocabulary`.
inline std::vector<int32_t> token_ids(int64_t n, int64_t vocabulary, uint64_t seed) {
  std::vector<int32_t> ids;
  for (uint64_t i = 0; i < static_cast<uint64_t>(n); ++i)
    ids.push_back(static_cast<int32_t>(random_bits(seed, RandomStream::test, i) % static_cast<uint64_t>(vocabulary)));
  return ids;
}

template <class T>
void set(const Vector<T>& to, const std::vector<T>& values) {
  copy(to, HostVector<T>(const_cast<T*>(values.data()), values.size()));
}
template <class T>
Vector<T> vector(const std::vector<T>& values) {
  const Vector<T> x = zeros<T>("test", static_cast<int64_t>(values.size()));
  set(x, values);
  return x;
}
/// (n, m) with the given values.
template <class T>
Matrix<T> matrix(int64_t n, int64_t m, const std::vector<T>& values) {
  const Matrix<T> x("test", static_cast<size_t>(n), static_cast<size_t>(m));
  set(Vector<T>(x.data(), x.size()), values);
  return x;
}
/// The same numbers, rounded where bf16 holds less.
template <class S>
std::vector<S> kept_as(const std::vector<float>& values) {
  return std::vector<S>(values.begin(), values.end());
}
/// (n) and (n, m) normally distributed numbers.
template <class S = float>
Vector<S> random_vector(int64_t n, uint64_t seed) {
  return vector(kept_as<S>(normals(n, seed)));
}
template <class S = float>
Matrix<S> random_matrix(int64_t n, int64_t m, uint64_t seed) {
  return matrix(n, m, kept_as<S>(normals(n * m, seed)));
}
/// (n, m), every element `value`.
template <class S = float>
Matrix<S> filled(int64_t n, int64_t m, float value) {
  return matrix(n, m, std::vector<S>(static_cast<size_t>(n * m), static_cast<S>(value)));
}

/// The elements of a view of any rank, in memory order.
template <class View>
auto values(const View& x) {
  using T = typename View::non_const_value_type;
  const HostVector<T> host = on_host(Vector<T>(x.data(), x.size()));
  return std::vector<T>(host.data(), host.data() + host.size());
}

/// a + b, element by element.
template <class A, class B>
std::vector<double> sum_of(const std::vector<A>& a, const std::vector<B>& b) {
  std::vector<double> total(a.begin(), a.end());
  for (size_t i = 0; i < total.size(); ++i) total[i] += static_cast<double>(b[i]);
  return total;
}

}  // namespace lawa::test
