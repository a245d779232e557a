// What a config may have by mistake: legal, and hardly meant.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "train/train_config.hpp"

namespace lawa {

/// A line each: a warm-up that the run doesn't leave, a step that reads more than all the training tokens. data_tokens: how many there
/// are, where that is known. `source` is what the config was loaded from.
std::vector<std::string> warnings(const TrainConfig& config, const ConfigSource& source, std::optional<int64_t> data_tokens);

}  // namespace lawa
