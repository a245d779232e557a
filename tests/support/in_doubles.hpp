// Views on the device as what the reference operations read.
#pragma once
#include "reference/array.hpp"
#include "support/fixtures.hpp"

namespace lawa::test {

inline reference::Values in_doubles(const Vector<float>& x) {
  const std::vector<float> elements = values(x);
  return {elements.begin(), elements.end()};
}
inline reference::Array in_doubles(const Matrix<float>& x) { return {rows(x), columns(x), values(x)}; }

}  // namespace lawa::test
