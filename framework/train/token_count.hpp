// How many training tokens the first steps of a run have seen, where a branch has changed how many a step takes.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/json.hpp"

namespace lawa {

class TokenCount {
 public:
  /// A run whose steps take `step_tokens` each.
  explicit TokenCount(int64_t step_tokens) : step_tokens_(step_tokens) {}

  /// Goes on from a checkpoint: of this step, so many tokens, and `changes` as json() gave them then (null: none). Errors: they are no such
  /// list, or don't end before this step.
  void go_on(int64_t step, int64_t tokens, const Json& changes);
  /// Of the first `step` steps.
  int64_t until(int64_t step) const;
  /// [[step, tokens], …] at which another number of tokens a step began; null where there was one number all along.
  Json json() const { return changes_.empty() ? Json() : Json(changes_); }

 private:
  int64_t step_tokens_;
  std::vector<std::pair<int64_t, int64_t>> changes_;  ///< ascending
};

}  // namespace lawa
