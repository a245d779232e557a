// The file that a run begins from.
#pragma once
#include <string>

#include "train/train_config.hpp"

namespace lawa {

/// The digest of the weights that start.weights or start.checkpoint names; "" where neither does. Where the file is gone, the digest that
/// the run's folder has had from its beginning. `source` is what the config was loaded from, for messages. Not collective. Errors: the file
/// can't be read, or is damaged; a schedule that ends before start.checkpoint's next step.
std::string digest_of_start(const TrainConfig& config, const ConfigSource& source);

}  // namespace lawa
