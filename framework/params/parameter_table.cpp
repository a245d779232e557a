#include "params/parameter_table.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.hpp"

namespace lawa {

namespace {

constexpr int64_t largest_size = int64_t{1} << 48;  // elements of a table that is read: far from overflow in bytes

/// True when the extents are positive and their product is at most `limit`.
bool possible(const std::vector<int64_t>& shape, int64_t limit) {
  for (const int64_t extent : shape) {
    if (extent <= 0 || extent > limit) return false;
    limit /= extent;
  }
  return true;
}

}  // namespace

int64_t Parameter::size() const { return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()); }

void ParameterTable::add(Parameter parameter) {
  parameter.offset = size_;
  size_ += parameter.size();
  parameters_.push_back(std::move(parameter));
}

const Parameter& ParameterTable::at(int64_t index) const {
  LAWA_CHECK(index >= 0 && index < size_, "element ", index, " of ", size_, " weights");
  return *std::prev(std::ranges::upper_bound(parameters_, index, {}, &Parameter::offset));
}

std::vector<ParameterTable::Segment> ParameterTable::segments(Range range) const {
  std::vector<Segment> found;
  range = intersect(range, {0, size_});
  for (int64_t begin = range.begin; begin < range.end;) {
    const Parameter& parameter = at(begin);
    found.push_back({&parameter, intersect(parameter.range(), {begin, range.end})});
    begin = found.back().range.end;
  }
  return found;
}

Json ParameterTable::to_json() const {
  Json list = Json::array();
  for (const Parameter& p : parameters_)
    list.push_back({{"name", p.name}, {"shape", p.shape}, {"offset", p.offset}, {"decay", p.decay}});
  return list;
}

ParameterTable ParameterTable::from_json(const Json& json, const std::string& place) {
  LAWA_CHECK(json.is_array(), place, ": the table of tensors is not a list");
  ParameterTable table;
  try {
    for (const Json& entry : json) {
      Parameter p{.name = entry.at("name"), .shape = entry.at("shape"), .decay = entry.at("decay")};
      LAWA_CHECK(entry.at("offset") == table.size(), place, ": tensor ", p.name, " begins at ", entry.at("offset").dump(),
                 " where ", table.size(), " was expected");
      LAWA_CHECK(possible(p.shape, largest_size - table.size()), place, ": tensor ", p.name, " has an impossible shape");
      table.add(std::move(p));
    }
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, place, ": the table of tensors can't be read: ", error.what());
  }
  return table;
}

bool ParameterTable::same_layout(const ParameterTable& other) const {
  return std::ranges::equal(parameters_, other.parameters_,
                            [](const Parameter& a, const Parameter& b) { return a.name == b.name && a.shape == b.shape; });
}

}  // namespace lawa
