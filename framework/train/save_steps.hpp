// When a run saves.
#pragma once
#include "train/train_config.hpp"

namespace lawa {

/// Every `every` steps, and at the last one.
inline bool is_multiple_or_last(int64_t every, int64_t step, int64_t last) { return step == last || (every > 0 && step % every == 0); }

/// Whether what going on needs is saved at a step of a run whose last is `last`; and whether weights are: with each state, and besides.
inline bool saves_state(const CheckpointConfig& config, int64_t step, int64_t last) {
  return is_multiple_or_last(config.state_steps, step, last);
}
inline bool saves_weights(const CheckpointConfig& config, int64_t step, int64_t last) {
  return saves_state(config, step, last) || is_multiple_or_last(config.steps, step, last);
}

}  // namespace lawa
