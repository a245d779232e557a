// Many averages in one walk over their checkpoints: each element of each checkpoint is read once, each element of each average
// written once, and memory is bounded by the caller, not by the model.
#pragma once
#include <functional>

#include "average/averaging_plan.hpp"
#include "average/exact_mean.hpp"
#include "core/range.hpp"

namespace lawa {

/// Averages of one step whose members are the newest ones of the largest's: one walk over the members makes all of them.
struct NestedAverages {
  std::vector<size_t> averages;  ///< indices into the plan, by ascending number of members
};

/// The order of work for a plan: which checkpoints are read, what each one completes, and how long it is needed.
struct AveragingOrder {
  struct Stop {
    int64_t step;                             ///< of the checkpoint that is read here
    std::vector<NestedAverages> complete;     ///< what ends with it
    std::vector<int64_t> not_needed_any_more; ///< steps of checkpoints, this one perhaps among them
  };
  std::vector<Stop> stops;       ///< by ascending step
  int64_t most_checkpoints = 0;  ///< that are held at a time
  int64_t most_averages = 0;     ///< that are made at a time

  /// Bytes held for pieces of `elements` elements.
  int64_t bytes(int64_t elements) const { return elements * 4 * (most_checkpoints + most_averages); }
};
AveragingOrder averaging_order(const std::vector<Average>& plan);

/// Elements of a piece so that order.bytes(piece) <= budget_bytes: a multiple of `unit`, at least one, at most `most`.
int64_t piece_elements(const AveragingOrder& order, int64_t budget_bytes, int64_t unit, int64_t most);

/// Room for pieces that are done with, used again for the next ones.
class PieceBuffers {
 public:
  std::vector<float> take(int64_t elements);
  void give(std::vector<float> buffer) { free_.push_back(std::move(buffer)); }

 private:
  std::vector<std::vector<float>> free_;
};

/// Where pieces come from and go to.
struct AveragingPiece {
  std::function<void(int64_t, Range, std::span<float>)> read;         ///< (step, range, out): these elements of a checkpoint
  std::function<void(size_t, Range, std::span<const float>)> write;   ///< (index, range, values): these elements of plan[index]
  /// (step, element, number): a mean of finite numbers that the averages' format has no number for. An error, now or at the next write.
  std::function<void(int64_t, int64_t, double)> beyond{};
  mutable PieceBuffers buffers{};
};
/// Makes a piece of every average of a plan: elements [range.begin, range.end), which are held at once.
void average_piece(const std::vector<Average>& plan, const AveragingOrder& order, Range range, Rounding rounding,
                   const AveragingPiece& io);

}  // namespace lawa
