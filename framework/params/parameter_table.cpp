#include "params/parameter_table.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.hpp"

namespace lawa {

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
  ParameterTable table;
  try {
    for (const Json& entry : json) {
      Parameter p{.name = entry.at("name"), .shape = entry.at("shape"), .decay = entry.at("decay")};
      LAWA_CHECK(entry.at("offset") == table.size(), place, ": tensor ", p.name, " begins at ", entry.at("offset").dump(),
                 " where ", table.size(), " was expected");
      LAWA_CHECK(std::ranges::all_of(p.shape, [](int64_t n) { return n > 0 && n < int64_t{1} << 40; }), place, ": tensor ", p.name,
                 " has an impossible shape");
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
