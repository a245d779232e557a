#include "train/start.hpp"

#include "checkpoint/flat_file.hpp"
#include "checkpoint/run_directory.hpp"
#include "core/byte_file.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// " (100, 200)": the steps of a folder that have a state, the newest few; "" where none has.
std::string steps_with_state(const fs::path& folder) {
  constexpr size_t most = 3;
  std::vector<int64_t> steps;
  for (const int64_t step : recorded_steps(folder))
    if (fs::exists(state_path(folder, step))) steps.push_back(step);
  std::string text;
  for (size_t i = steps.size() - std::min(steps.size(), most); i < steps.size(); ++i) text += (text.empty() ? " (" : ", ") + std::to_string(steps[i]);
  return text.empty() ? "" : text + ")";
}

/// Errors: what lies there is no weights file that a run of this program begins from.
void check_is_start(const std::string& key, const fs::path& start) {
  LAWA_CHECK(!fs::is_directory(start), key, ": ", start.string(), ": is a folder; name one of its weights files, step_….weights.h5");
}

/// Errors: the checkpoint has no state to go on with.
void check_has_state(const std::string& key, const fs::path& weights, int64_t step) {
  const fs::path folder = weights.parent_path(), state = state_path(folder, step);
  if (fs::exists(state)) return;
  const std::string others = steps_with_state(folder);
  fail(__FILE__, __LINE__, key, ": ", weights.string(), ": step ", step, " has weights only, there is no ", state.filename().string(), "; ",
       others.empty() ? "" : "go on from a step with a state" + others + ", or ", "use start.weights, which begins anew with its weights");
}

}  // namespace

std::string digest_of_start(const TrainConfig& config, const ConfigSource& source) {
  const fs::path start = config.start.weights.empty() ? config.start.checkpoint : config.start.weights;
  if (start.empty()) return "";
  std::error_code unknown;
  if (fs::status(start, unknown).type() == fs::file_type::not_found)
    if (const std::string known = text_in(provenance_of(config.run.directory), "start_digest"); !known.empty()) return known;
  const std::string name = config.start.weights.empty() ? "start.checkpoint" : "start.weights", key = name + source.where(name);
  check_is_start(key, start);
  const PlacedFile file = open_flat_file(start, "weights");
  const int64_t begin = config.start.checkpoint.empty() ? 0 : file.header.step;
  LAWA_CHECK(begin < config.schedule.steps, "schedule.steps", source.where("schedule.steps"), ": ", config.schedule.steps,
             " must be more than the step of start.checkpoint", source.where("start.checkpoint"), ", which is ", begin);
  if (!config.start.checkpoint.empty()) check_has_state(key, start, begin);
  return file.digest;
}

}  // namespace lawa
