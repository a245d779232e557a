// Which sequences a rank trains on: a pure function of (seed, step, rank).
#pragma once
#include <vector>

#include "core/config.hpp"
#include "core/range.hpp"

namespace lawa {

struct DataConfig {
  std::vector<std::string> train, validation;
  int64_t validation_sequences = 0;
};

template <class Visitor>
void visit(DataConfig& c, Visitor&& v) {
  v("train", c.train, "token files to train on: a path or an array of them; also folders of shards, and patterns: \"shards/train_*.bin\"", a_path());
  v("validation", c.validation, "token files to evaluate on, named in the same way", a_path());
  v("validation_sequences", c.validation_sequences, "evaluate on the first so many consecutive windows; 0 = all", at_least(0));
}

struct BatchConfig {
  int64_t global_sequences = 384, micro_sequences = 0, memory_budget = int64_t{4} << 30;
  std::string recompute = "none";
};

template <class Visitor>
void visit(BatchConfig& c, Visitor&& v) {
  v("global_sequences", c.global_sequences, "sequences of one optimizer step, over all ranks", between(1, 1 << 30));
  v("micro_sequences", c.micro_sequences, "sequences of one forward and backward on one rank; 0 = as many as fit memory_budget",
    between(0, 1 << 20));
  v("memory_budget", c.memory_budget, "bytes of activations a rank, where micro_sequences = 0", at_least(1));
  v("recompute", c.recompute,
    "what the backward computes again instead of keeping it: attention (up to its output), block (all but the blocks' inputs); less "
    "memory, the same numbers", one_of({"none", "attention", "block"}));
}

class BatchPlan {
 public:
  /// `windows`: places where a training sequence can begin (TokenSet::windows).
  BatchPlan(uint64_t seed, int64_t global_sequences, int64_t micro_sequences, int64_t windows, int rank, int ranks);

  /// The windows that this rank reads to make the step before which `before` sequences have been read ((step-1)*B where all steps had as
  /// many), in micro-batches of up to micro_sequences; the last may be smaller, and a rank may have none. Sequences 0..B-1 of a step
  /// are split contiguously over the ranks, and sequence i reads window philox(seed, before + i) mod windows: random crops with
  /// replacement, whatever the number of ranks.
  std::vector<std::vector<int64_t>> micro_batches(int64_t before) const;
  /// Of the rank that has most.
  int64_t most_micro_batches() const { return most_micro_batches_; }

 private:
  uint64_t seed_;
  int64_t micro_sequences_, windows_, most_micro_batches_;
  Range mine_;
};

}  // namespace lawa
