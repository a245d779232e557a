// A row-major matrix of doubles: what the reference operations read and write.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lawa::reference {

using Values = std::vector<double>;

struct Array {
  int64_t rows = 0, columns = 0;
  Values values;

  Array(int64_t n, int64_t m) : rows(n), columns(m), values(static_cast<size_t>(n * m)) {}
  template <class T>
  Array(int64_t n, int64_t m, const std::vector<T>& from) : rows(n), columns(m), values(from.begin(), from.end()) {}

  double& operator()(int64_t n, int64_t c) { return values[static_cast<size_t>(n * columns + c)]; }
  double operator()(int64_t n, int64_t c) const { return values[static_cast<size_t>(n * columns + c)]; }
};

inline double& at(Values& x, int64_t i) { return x[static_cast<size_t>(i)]; }
inline double at(const Values& x, int64_t i) { return x[static_cast<size_t>(i)]; }

}  // namespace lawa::reference
