#include "checkpoint/run_directory.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/files.hpp"

namespace lawa {
namespace fs = std::filesystem;

namespace {

/// Nothing where the record is damaged: what can't be read is left alone.
std::optional<CommitRecord> readable_record(const fs::path& path) {
  try {
    return read_record(path);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// A line of metrics.jsonl; null where it is none, or one of its keys isn't what whoever looks at it takes it for.
Json metrics_line(const std::string& text) {
  Json line = json_or_null(text);
  const auto is = [&](const char* key, auto&& right) { return !line.contains(key) || right(line[key]); };
  const auto integer = [](const Json& value) { return value.is_number_integer(); };
  const auto string = [](const Json& value) { return value.is_string(); };
  const bool readable = line.is_object() && is("kind", string) && is("model", string) && is("step", integer) && is("evaluated_at", integer);
  return readable ? line : Json();
}

/// What a checkpoint says whose run it is of; "" where there is none that can be read.
std::string trajectory_of_records(const fs::path& folder) {
  for (const int64_t step : recorded_steps(folder))
    if (const auto record = if_readable([&] { return read_record(record_path(folder, step)); })) return record->trajectory_hash;
  return "";
}

}  // namespace

Json provenance_of(const fs::path& run) {
  const fs::path path = run / "provenance.json";
  if (!fs::exists(path)) return Json::object();
  Json found = json_or_null(read_file(path));
  return found.is_object() ? found : Json::object();
}

std::string text_in(const Json& object, const std::string& key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

fs::path damaged_of(const fs::path& path) { return path.string() + ".damaged"; }

RunDirectory::RunDirectory(const Communicator& comm, const fs::path& path, const std::string& trajectory_hash, const LockPatience& patience,
                           const GoesOn& goes_on)
    : path_(path), checkpoints_(path / "checkpoints"), trajectory_hash_(trajectory_hash), root_(comm.root()) {
  comm.on_root([&] { open_on_root(patience, goes_on); });
  trajectory_hash_ = comm.broadcast(trajectory_hash_);
}

void RunDirectory::open_on_root(const LockPatience& patience, const GoesOn& goes_on) {
  std::error_code error;
  fs::create_directories(checkpoints_, error);
  LAWA_CHECK(!error, "run.directory: ", path_.string(), " can't be made: ", error.message());
  check_fits(path_, part_of(fs::path("checkpoints") / ("step_" + std::string(18, '0') + ".weights.h5")));  // 18 digits, at most
  lock_.emplace(path_ / "run.lock", FileLock::End::keep, patience);
  check_trajectory(patience, goes_on);
  lock_to_write(checkpoints_, {.seconds = patience.seconds, .key = patience.key});  // only to remove what a killed run has left there
}

/// The folder is this run's, as provenance.json says, or in its place the records of the checkpoints.
void RunDirectory::check_trajectory(const LockPatience& patience, const GoesOn& goes_on) {
  const fs::path provenance = path_ / "provenance.json";
  const bool there = fs::exists(provenance);
  const std::string described = text_in(provenance_of(path_), "trajectory_hash");
  const std::string found = described.empty() ? trajectory_of_records(checkpoints_) : described;
  LAWA_CHECK(!found.empty() || !there, provenance.string(), ": is damaged, and no checkpoint says which run this is; choose another folder");
  if (!found.empty() && goes_on && goes_on(found)) trajectory_hash_ = found;
  LAWA_CHECK(found.empty() || found == trajectory_hash_, "run.directory: ", path_.string(), " holds another run (trajectory ", found.substr(0, 8),
             ", this config's is ", trajectory_hash_.substr(0, 8), "), and nothing there says which keys differ; choose another folder");
  if (!described.empty() || found.empty()) return;
  if (there) write_file(damaged_of(provenance), read_file(provenance));
  if (patience.say)
    patience.say(provenance.string() + (there ? ": is damaged (a copy is " + damaged_of(provenance).string() + ")" : ": is missing") +
                 "; the checkpoints say which run this is, and it is written anew");
}

void RunDirectory::describe(const std::string& config, const Json& provenance) {
  if (!root_) return;
  readers_.emplace(path_);
  write_file(path_ / "config.toml", config);
  write_file(path_ / "provenance.json", provenance.dump(2) + "\n");
}

void RunDirectory::append(const Json& line) const {
  if (!root_) return;
  lock_->check();
  append_to_file(path_ / "metrics.jsonl", line.dump() + "\n");
}

void RunDirectory::make_metrics_durable() const {
  if (const fs::path path = path_ / "metrics.jsonl"; root_ && fs::exists(path)) make_durable(path);
}

std::vector<Json> RunDirectory::metrics(const std::string& kind) const {
  const fs::path path = path_ / "metrics.jsonl";
  std::vector<Json> found;
  if (!root_ || !fs::exists(path)) return found;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);)
    if (Json entry = metrics_line(line); !entry.is_null() && entry.value("kind", "") == kind) found.push_back(std::move(entry));
  return found;
}

int64_t RunDirectory::cut_metrics(int64_t step, bool evaluations) const {
  const fs::path path = path_ / "metrics.jsonl";
  if (!root_ || !fs::exists(path)) return 0;
  std::istringstream lines(read_file(path));
  std::string kept, damaged;
  for (std::string line; std::getline(lines, line) && !lines.eof();) {  // behind the last end of a line a kill cut one
    const Json entry = metrics_line(line);
    if (entry.is_null()) damaged += line + "\n";
    if (entry.is_null()) continue;
    const int64_t at = entry.value("evaluated_at", entry.value("step", int64_t{0}));
    if (at < step || (at == step && !(evaluations && entry.value("kind", "") == "evaluate"))) kept += line + "\n";
  }
  if (!damaged.empty()) append_to_file(damaged_of(path), damaged);
  write_file(path, kept);
  return std::ranges::count(damaged, '\n');
}

Readers::Found RunDirectory::retire(const Kept& kept, int64_t newest) {
  if (!root_) return Readers::Found::none;
  const CommitRecord last = read_record(record_path(checkpoints_, newest));
  verify_file(checkpoints_, last.weights);
  if (last.state) verify_file(checkpoints_, *last.state);
  if (!readers_) readers_.emplace(path_);
  return readers_->without_readers([&](Readers::Found found) {
    if (found != Readers::Found::some) retire_states(kept.states, newest);
    if (found == Readers::Found::none) retire_weights(kept, newest);
  });
}

void RunDirectory::retire_states(int64_t count, int64_t newest) const {
  using Temporary = OpenEnds::Temporary;
  const auto steps = state_steps(checkpoints_);
  int64_t kept = 0;
  bool newer = false;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    auto record = *step <= newest ? readable_record(record_path(checkpoints_, *step)) : std::nullopt;
    if (!record) continue;
    const Temporary temporary = std::exchange(record->open.temporary, Temporary::nothing);
    if (record->state && (temporary == Temporary::nothing ? ++kept <= count : !newer)) {
      newer = true;
      continue;
    }
    if (temporary == Temporary::checkpoint) {
      fs::remove(record_path(checkpoints_, *step));
      fs::remove(weights_path(checkpoints_, *step));
    } else if (std::exchange(record->state, std::nullopt)) {
      write_record(checkpoints_, *record);
    }
    fs::remove(state_path(checkpoints_, *step));  // also one whose record ceased to name it just before a kill
  }
}

/// The oldest of the newest `count` checkpoints up to step `newest`; 0 where there are fewer.
int64_t RunDirectory::oldest_of(int64_t count, int64_t newest) const {
  const auto steps = recorded_steps(checkpoints_);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto record = *step <= newest ? readable_record(record_path(checkpoints_, *step)) : std::nullopt;
    if (record && record->open.temporary != OpenEnds::Temporary::checkpoint && --count == 0) return *step;
  }
  return 0;
}

void RunDirectory::retire_weights(const Kept& kept, int64_t newest) const {
  const int64_t oldest = kept.weights > 0 ? oldest_of(kept.weights, newest) : 0;
  for (const int64_t step : weights_steps(checkpoints_)) {  // with those that a kill has left without their records
    if (step >= oldest || (kept.weights_steps > 0 && step % kept.weights_steps == 0)) continue;
    const fs::path path = record_path(checkpoints_, step);
    const auto record = readable_record(path);
    if (record ? record->state.has_value() : fs::exists(path)) continue;
    fs::remove(path);
    fs::remove(weights_path(checkpoints_, step));
  }
}

}  // namespace lawa
