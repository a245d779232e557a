// Views on the device as what the reference operations read.
#pragma once
#include "reference/array.hpp"
#include "support/fixtures.hpp"

namespace lawa::test {

template <class S>
reference::Values in_doubles(const Vector<S>& x) {
  const std::vector<S> elements = values(x);
  return {elements.begin(), elements.end()};
}
template <class S>
reference::Array in_doubles(const Matrix<S>& x) {
  return {rows(x), columns(x), values(x)};
}

}  // namespace lawa::test
