#include "params/shard_layout.hpp"

#include "core/error.hpp"

namespace lawa {

ShardLayout::ShardLayout(int64_t size, int rank, int ranks, const std::vector<int64_t>& wanted_ends)
    : size_(size), rank_(rank), ranks_(ranks) {
  LAWA_CHECK(size > 0 && ranks > 0 && rank >= 0 && rank < ranks, "a layout of ", size, " elements on rank ", rank, " of ", ranks);
  const int64_t unit = block_size * ranks;
  const int64_t padded = (size + unit - 1) / unit * unit;
  for (const int64_t wanted : wanted_ends) {
    const int64_t end = (wanted + unit - 1) / unit * unit;
    if (end > (ends_.empty() ? 0 : ends_.back()) && end < padded) ends_.push_back(end);
  }
  ends_.push_back(padded);
}

Range ShardLayout::bucket(int64_t i) const {
  const auto at = static_cast<size_t>(i);
  return {i == 0 ? 0 : ends_[at - 1], ends_[at]};
}

Range ShardLayout::local_bucket(int64_t i) const {
  const Range full = bucket(i);
  return {full.begin / ranks_, full.end / ranks_};
}

std::vector<ShardLayout::Piece> ShardLayout::owned(int rank) const {
  std::vector<Piece> pieces;
  for (int64_t i = 0; i < buckets(); ++i) {
    const Range full = bucket(i);
    const int64_t width = full.size() / ranks_;
    const Range real = intersect({full.begin + rank * width, full.begin + (rank + 1) * width}, {0, size_});
    if (!real.empty()) pieces.push_back({real, local_bucket(i).begin});
  }
  return pieces;
}

int64_t ShardLayout::mine_size() const {
  int64_t total = 0;
  for (const Piece& piece : mine()) total += piece.range.size();
  return total;
}

}  // namespace lawa
