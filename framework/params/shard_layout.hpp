// Which rank owns which part of the flat weights.
#pragma once
#include <vector>

#include "core/range.hpp"

namespace lawa {

/// Elements in a checksum block of a checkpoint; a block has one owner.
inline constexpr int64_t block_size = 4096;

/// The flat space 0..P-1 is cut into buckets, and rank r owns the r-th of `ranks` equal slices of every bucket: a bucket can be
/// reduced as soon as its gradients are finished, with equal counts on all ranks. Bucket ends are multiples of
/// block_size * ranks, so the last bucket ends at padded_size() >= P, and what lies past P belongs to nobody's data. A rank's
/// slices lie one after the other in its local buffer; its real elements are a prefix of that buffer, and may be none.
class ShardLayout {
 public:
  /// Buckets end near `wanted_ends` (ascending, flat indices); an empty list is one bucket. Pure arithmetic.
  ShardLayout(int64_t size, int rank, int ranks, const std::vector<int64_t>& wanted_ends = {});

  int64_t size() const { return size_; }                                                     ///< P
  int64_t padded_size() const { return ends_.back(); }                                       ///< of a full buffer
  int64_t local_size() const { return padded_size() / ranks_; }                              ///< of a local buffer
  int rank() const { return rank_; }
  int ranks() const { return ranks_; }

  int64_t buckets() const { return static_cast<int64_t>(ends_.size()); }
  /// Bucket i in full buffers.
  Range bucket(int64_t i) const;
  /// My slice of bucket i in local buffers.
  Range local_bucket(int64_t i) const;

  /// A run of owned elements: `range` of the flat space, at `local` in the local buffer.
  struct Piece {
    Range range;
    int64_t local;
  };
  /// What a rank owns, clipped to P, without empty pieces.
  std::vector<Piece> owned(int rank) const;
  std::vector<Piece> mine() const { return owned(rank_); }
  /// Real elements in my local buffer, a prefix of it.
  int64_t mine_size() const;

 private:
  int64_t size_;
  int rank_, ranks_;
  std::vector<int64_t> ends_;
};

}  // namespace lawa
