// A half-open interval of the flat index space.
#pragma once
#include <algorithm>
#include <cstdint>

namespace lawa {

/// The elements begin, begin + 1, …, end - 1. Empty when begin == end.
struct Range {
  int64_t begin = 0, end = 0;

  constexpr int64_t size() const { return end - begin; }
  constexpr bool empty() const { return end <= begin; }
  constexpr bool operator==(const Range&) const = default;
};

/// The elements that are in both; empty (size 0) when there are none.
constexpr Range intersect(Range a, Range b) {
  const int64_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

/// Part `index` of `parts` nearly equal, contiguous parts of 0..size-1.
constexpr Range split(int64_t size, int64_t index, int64_t parts) {
  return {size * index / parts, size * (index + 1) / parts};
}

}  // namespace lawa
