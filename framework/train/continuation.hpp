// Whether a config goes on with the run that a folder holds.
#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "params/parameter_table.hpp"
#include "train/train_config.hpp"

namespace lawa {

/// What a run is made from: the keys that determine its weights, and the digests of its tokens and of the file that it starts from; and
/// that of the tokens that it is evaluated on, "" where it isn't.
struct RunOrigin {
  const TrainConfig& config;
  const std::string &tokens_digest, &start_digest, &validation_digest;
};

/// True when the run in a folder, `trajectory` by its hash, goes on with this config as if it had been made with it from the start: nothing
/// differs but schedule.*, its learning rates up to its newest checkpoint are the same to the bit, and steps are left. So a constant rate
/// can be extended, and warm-up, stable, decay before its decay. `say` is told which keys differ. False when nothing readable there says
/// how the run was made: then its hash has to do. Not collective. Errors: it is another run, or is evaluated on other tokens; names each key
/// that differs with both values, and how to branch from it. `source` is what the config was loaded from.
bool goes_on(const std::filesystem::path& run, const std::string& trajectory, const RunOrigin& mine, const ConfigSource& source,
             const std::function<void(const std::string&)>& say);

}  // namespace lawa
