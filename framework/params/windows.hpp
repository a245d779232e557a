// Where a rank keeps the weights that it computes with: all of them, or a few blocks' at a time.
#pragma once
#include <vector>

#include "params/parameter_table.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

/// Where a table's groups lie in a buffer: the embeddings, each block, the rest.
struct GroupPlaces {
  std::vector<Range> places;  ///< of each group, in elements of the buffer
  int64_t size = 0;           ///< of the buffer
};
/// One behind the other from 0 on, in a buffer of `size` elements, at least the table's.
GroupPlaces resident_places(const ParameterTable& table, int64_t size);

/// A unit is a bucket of a layout with the groups that end in it. Its window is a range of the flat space: from the unit's first group to
/// the bucket's end. As buckets end behind the groups that they are cut for, the bucket before holds the window's beginning, its *head*.
///
///   groups    |  0  |     1     |     2     |3|
///   buckets   |   0    |     1     |     2       |
///   windows   |---0----|
///                   |------1-------|
///                               |-------2--------|
///
/// Shared windows take turns in a buffer: the first and the last unit have places of their own (a step begins and ends with the one, and
/// turns round at the other), all others two places between them, so that a window and the one before or behind it are there together.
/// Otherwise the buffer is the flat space itself.
class Windows {
 public:
  static constexpr int64_t slots = 4;

  /// layout: with the table's group_ends as its buckets' wanted ends. Pure arithmetic.
  Windows(const ParameterTable& table, const ShardLayout& layout, bool shared);

  int64_t units() const { return static_cast<int64_t>(units_.size()); }
  int64_t unit_of(int64_t group) const { return unit_of_group_[static_cast<size_t>(group)]; }
  /// Of 0 … slots - 1; units with the same one take turns, where windows are shared.
  int64_t slot(int64_t unit) const { return at(unit).slot; }
  bool shared() const { return shared_; }

  /// Places in the buffer: of a unit's bucket; of its window's head; of the same elements at the end of the bucket before.
  Range bucket(int64_t unit) const;
  Range head(int64_t unit) const;
  Range head_in_bucket_before(int64_t unit) const;

  const GroupPlaces& groups() const { return groups_; }

 private:
  struct Unit {
    Range flat{0, 0};     ///< the window
    int64_t head = 0;     ///< elements of it before the bucket
    int64_t slot = 0, place = 0;
  };
  const Unit& at(int64_t unit) const { return units_[static_cast<size_t>(unit)]; }

  std::vector<Unit> units_;
  std::vector<int64_t> unit_of_group_;
  GroupPlaces groups_;
  bool shared_;
};

}  // namespace lawa
