// Which tensors make up the flat weights: the one order that weights, gradients, moments, files and averages share.
#pragma once
#include <string>
#include <vector>

#include "core/json.hpp"
#include "core/range.hpp"

namespace lawa {

/// One tensor: elements [offset, offset + size()) of the flat weights, row-major.
struct Parameter {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset = 0;
  bool decay = false;    ///< weight decay applies
  double mean = 0;       ///< of the initial values
  double deviation = 0;  ///< of the initial values, normally distributed

  int64_t size() const;
  Range range() const { return {offset, offset + size()}; }
};

class ParameterTable {
 public:
  /// Appends a tensor behind the last one.
  void add(Parameter parameter);
  /// The tensors up to here form a unit of communication (about a transformer block).
  void end_group() { group_ends_.push_back(size_); }

  /// P, the number of all elements.
  int64_t size() const { return size_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<int64_t>& group_ends() const { return group_ends_; }
  /// The tensor that holds element `index` of 0..P-1.
  const Parameter& at(int64_t index) const;

  /// A part of one tensor.
  struct Segment {
    const Parameter* parameter;
    Range range;  ///< flat indices
  };
  /// The range, cut at tensor boundaries.
  std::vector<Segment> segments(Range range) const;

  /// [{"name":…,"shape":[…],"offset":…,"decay":…}, …]: what files store.
  Json to_json() const;
  /// Errors: the text isn't such a list, or its offsets aren't consecutive.
  static ParameterTable from_json(const Json& json, const std::string& place);
  /// Names and shapes are the same, in the same order.
  bool same_layout(const ParameterTable& other) const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<int64_t> group_ends_;
  int64_t size_ = 0;
};

}  // namespace lawa
