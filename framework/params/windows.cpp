#include "params/windows.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/error.hpp"

namespace lawa {
namespace {

std::vector<Range> groups_of(const ParameterTable& table) {
  std::vector<Range> groups;
  int64_t begin = 0;
  const auto add = [&](int64_t end) {
    groups.push_back({begin, end});
    begin = end;
  };
  std::ranges::for_each(table.group_ends(), add);
  if (begin < table.size()) add(table.size());
  return groups;
}

}  // namespace

GroupPlaces resident_places(const ParameterTable& table, int64_t size) {
  LAWA_CHECK(size >= table.size(), "a buffer of ", size, " elements for ", table.size(), " weights");
  return {groups_of(table), size};
}

Windows::Windows(const ParameterTable& table, const ShardLayout& layout, bool shared) : shared_(shared) {
  const std::vector<Range> groups = groups_of(table);
  for (const Range& group : groups) {
    if (units_.empty() || group.end > units_.back().flat.end) {
      const Range bucket = layout.bucket(units());
      units_.push_back({.flat = {group.begin, bucket.end}, .head = bucket.begin - group.begin});
    }
    unit_of_group_.push_back(units() - 1);
  }
  LAWA_CHECK(units() == layout.buckets(), "a layout of ", layout.buckets(), " buckets for a table of ", groups.size(), " groups");

  std::array<int64_t, slots> room{};
  for (int64_t i = 0; i < units(); ++i) {
    Unit& unit = units_[static_cast<size_t>(i)];
    unit.slot = i == 0 ? 0 : i == units() - 1 ? 1 : 2 + i % 2;
    int64_t& most = room[static_cast<size_t>(unit.slot)];
    most = std::max(most, unit.flat.size());
  }
  for (Unit& unit : units_) unit.place = shared ? std::accumulate(room.begin(), room.begin() + unit.slot, int64_t{0}) : unit.flat.begin;
  for (size_t i = 0; i < groups.size(); ++i) {
    const Unit& unit = at(unit_of_group_[i]);
    const int64_t moved = unit.place - unit.flat.begin;
    groups_.places.push_back({groups[i].begin + moved, groups[i].end + moved});
  }
  groups_.size = shared ? std::accumulate(room.begin(), room.end(), int64_t{0}) : layout.padded_size();
}

Range Windows::bucket(int64_t unit) const {
  const Unit& u = at(unit);
  return {u.place + u.head, u.place + u.flat.size()};
}
Range Windows::head(int64_t unit) const { return {at(unit).place, at(unit).place + at(unit).head}; }

Range Windows::head_in_bucket_before(int64_t unit) const {
  const int64_t end = bucket(unit - 1).end;
  return {end - at(unit).head, end};
}

}  // namespace lawa
