#include "train/continuation.hpp"

#include <algorithm>
#include <optional>

#include "checkpoint/flat_file.hpp"
#include "checkpoint/run_directory.hpp"
#include "core/files.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// The run as its newest checkpoint that can be read has it; where there is none, as config.toml does, at step 0.
struct FoundRun {
  int64_t step = 0;
  TrainConfig config{};
  std::string tokens_digest{}, start_digest{}, validation_digest{};
};

TrainConfig config_in(const std::string& toml, const fs::path& place) {
  ConfigSource source;
  source.add_toml(toml, place.string());
  TrainConfig config;
  apply(config, source);
  return config;
}

std::optional<FoundRun> found_run(const fs::path& run, const std::string& trajectory) {
  const Json provenance = provenance_of(run);
  const std::string validation = text_in(provenance, "validation_digest");  // of the last start, where it is a checkpoint's too
  const auto steps = recorded_steps(run / "checkpoints");
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const fs::path path = weights_path(run / "checkpoints", *step);
    const auto found = if_readable([&] {
      const FlatHeader header = open_flat_file(path, "weights").header;  // which knows damage from what the system refuses
      LAWA_CHECK(header.trajectory_hash == trajectory, path.string(), ": is of another run");
      return FoundRun{header.step, config_in(header.config, path), text_in(header.provenance, "tokens_digest"),
                      text_in(header.provenance, "start_digest"), validation.empty() ? text_in(header.provenance, "validation_digest") : validation};
    });
    if (found) return found;
  }
  return if_readable([&] {
    const fs::path path = run / "config.toml";
    return FoundRun{0, config_in(read_file(path), path), text_in(provenance, "tokens_digest"), text_in(provenance, "start_digest"), validation};
  });
}

/// A key with its values there and here, as TOML.
struct Difference {
  std::string key, there, here;
};

std::vector<std::pair<std::string, std::string>> keys_of(TrainConfig config) {
  std::vector<std::pair<std::string, std::string>> keys;
  const auto add = [&](const std::string& key, const auto& field, const std::string&, const Limit&) { keys.emplace_back(key, detail::to_toml(field)); };
  each_field(config, "", add, [](const std::string&, const auto&) {});
  return keys;
}

std::string toml_of(const TrainConfig& config, const std::string& key) {
  const auto keys = keys_of(config);
  return std::ranges::find(keys, key, &std::pair<std::string, std::string>::first)->second;
}

/// As trajectory_hash() has them.
bool determines_weights(const std::string& key) {
  return key == "seed" || key == "precision" || key == "batch.global_sequences" || key.starts_with("model.") || key.starts_with("optimizer.") ||
         key.starts_with("schedule.");
}

std::vector<Difference> differences(const FoundRun& found, const RunOrigin& mine) {
  std::vector<Difference> all;
  const auto there = keys_of(found.config), here = keys_of(mine.config);
  for (const auto& [key, value] : here) {
    const auto other = std::ranges::find(there, key, &std::pair<std::string, std::string>::first);
    if (determines_weights(key) && other != there.end() && other->second != value) all.push_back({key, other->second, value});
  }
  const auto add_file = [&](const std::string& key, const std::string& digest_there, const std::string& digest_here) {
    if (digest_there == digest_here) return;
    const auto value = [&](const TrainConfig& config, const std::string& digest) {
      return digest.empty() ? toml_of(config, key) : concat(toml_of(config, key), " (digest ", digest.substr(0, 8), ")");
    };
    all.push_back({key, value(found.config, digest_there), value(mine.config, digest_here)});
  };
  const bool from_weights = !found.config.start.weights.empty() || !mine.config.start.weights.empty();
  add_file("data.train", found.tokens_digest, mine.tokens_digest);
  add_file(from_weights ? "start.weights" : "start.checkpoint", found.start_digest, mine.start_digest);
  if (!found.validation_digest.empty() && !mine.validation_digest.empty()) add_file("data.validation", found.validation_digest, mine.validation_digest);
  return all;
}

/// Up to which step two schedules have the same rates; no further than `last`.
int64_t same_until(const ScheduleConfig& there, const ScheduleConfig& here, int64_t last) {
  int64_t step = 0;
  while (step < last && learning_rate(there, step + 1) == learning_rate(here, step + 1)) ++step;
  return step;
}

/// The newest step up to `last` that has a state; 0: none has.
int64_t newest_state(const fs::path& checkpoints, int64_t last) {
  const auto steps = recorded_steps(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto record = if_readable([&] { return read_record(record_path(checkpoints, *step)); });
    if (*step <= last && record && record->state) return *step;
  }
  return 0;
}

/// How to have this config all the same.
std::string way_out(const fs::path& run, const std::vector<Difference>& differ, int64_t same, const RunOrigin& mine) {
  const bool other_model = std::ranges::any_of(differ, [](const auto& one) { return one.key.starts_with("model.") || one.key.starts_with("start."); });
  const fs::path checkpoints = run / "checkpoints";
  const auto branch = [&](int64_t step) { return "start.checkpoint=" + weights_path(checkpoints, step).string() + " run.directory=ANOTHER"; };
  const int64_t early = other_model ? 0 : newest_state(checkpoints, std::min(same, mine.config.schedule.steps - 1));
  const int64_t newest = other_model ? 0 : newest_state(checkpoints, mine.config.schedule.steps - 1);
  std::string text = "; choose another run.directory for a run of its own";
  if (newest > 0 && newest != early) text += concat(", or branch off at step ", newest, ": ", branch(newest));
  if (early > 0) text += concat(", or branch off at step ", early, ", as if it had been so from the start: ", branch(early));
  return text;
}

}  // namespace

bool goes_on(const fs::path& run, const std::string& trajectory, const RunOrigin& mine, const ConfigSource& source,
             const std::function<void(const std::string&)>& say) {
  const auto found = found_run(run, trajectory);
  if (!found) return false;
  std::vector<Difference> differ = differences(*found, mine);
  if (trajectory == trajectory_hash(mine.config, mine.tokens_digest, mine.start_digest))  // or it was, when the run was last extended
    std::erase_if(differ, [](const Difference& one) { return !one.key.starts_with("schedule.") && one.key != "data.validation"; });
  if (differ.empty()) return found->step > 0;
  std::string names;
  for (const auto& [key, there, here] : differ)
    names += concat(names.empty() ? "" : ", ", key, " is ", there, " there and ", here, source.where(key), " here");

  const ScheduleConfig &before = found->config.schedule, &now = mine.config.schedule;
  const bool of_schedule = std::ranges::all_of(differ, [](const Difference& one) { return one.key.starts_with("schedule."); });
  const int64_t same = of_schedule ? same_until(before, now, found->step) : 0;
  const bool steps_left = now.steps > found->step || now.steps == before.steps;
  if (of_schedule && found->step > 0 && same == found->step && steps_left) {
    say(concat(run.string(), ": ", names, "; the learning rates up to step ", found->step, " are the same, so the run goes on"));
    return true;
  }
  std::string why;
  const auto rate = [&](const ScheduleConfig& schedule) { return detail::to_toml(learning_rate(schedule, same + 1)); };
  if (of_schedule && same < found->step)
    why = concat("; it is at step ", found->step, ", and the learning rate of step ", same + 1, " would have been ", rate(now), ", not ", rate(before));
  else if (of_schedule && !steps_left)
    why = concat("; it is at step ", found->step, " already");
  const bool same_weights = differ.size() == 1 && differ[0].key == "data.validation";
  if (same_weights) why = "; losses on two sets of tokens can't be compared";
  fail(__FILE__, __LINE__, "run.directory", source.where("run.directory"), ": ", run.string(),
       same_weights ? " holds a run that is evaluated on another set of tokens: " : " holds another run: ", names, why,
       way_out(run, differ, same, mine));
}

}  // namespace lawa
