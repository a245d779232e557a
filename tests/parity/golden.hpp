// Reads golden.h5 and gpt_neox.h5; make_golden.py and make_gpt_neox.py say what is in them.
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
  explicit GoldenGroup(const std::string& name, const std::string& path = golden_path);

  int64_t integer(const char* attribute) const;
  double number(const char* attribute) const;
  std::string text(const char* attribute) const;
  /// All elements of a dataset, row-major.
  template <class T>
  std::vector<T> values(const std::string& dataset) const;
  /// Names of the datasets of a subgroup, in alphabetical order.
  std::vector<std::string> names(const std::string& subgroup) const;

 private:
  std::string path_;
  h5::Handle file_, group_;
};

}  // namespace lawa::test
