// Reads golden.h5; make_golden.py says what is in it.
#pragma once
#include <string>
#include <vector>

#include "checkpoint/hdf5.hpp"

namespace lawa::test {

/// From the project's folder, where the tests run.
inline constexpr const char* golden_path = "tests/parity/golden.h5";

/// The datasets and attributes of one group. Errors: lawa::Error where something is missing.
class GoldenGroup {
 public:
  explicit GoldenGroup(const std::string& name);

  int64_t integer(const char* attribute) const;
  double number(const char* attribute) const;
  std::string text(const char* attribute) const;
  /// All elements of a dataset, row-major.
  template <class T>
  std::vector<T> values(const std::string& dataset) const;
  /// Names of the datasets of a subgroup, in alphabetical order.
  std::vector<std::string> names(const std::string& subgroup) const;

 private:
  h5::Handle file_, group_;
};

}  // namespace lawa::test
