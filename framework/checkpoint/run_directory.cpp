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
  Json line = Json::parse(text, nullptr, false);
  const auto is = [&](const char* key, auto&& right) { return !line.contains(key) || right(line[key]); };
  const auto integer = [](const Json& value) { return value.is_number_integer(); };
  const auto string = [](const Json& value) { return value.is_string(); };
  const bool readable = line.is_object() && is("kind", string) && is("model", string) && is("step", integer) && is("evaluated_at", integer);
  return readable ? line : Json();
}

/// What a checkpoint says whose run it is of; "" where there is none that can be read.
std::string trajectory_of_records(const fs::path& folder) {
  for (const int64_t step : recorded_steps(folder))
    if (const auto record = readable_record(record_path(folder, step))) return record->trajectory_hash;
  return "";
}

}  // namespace

Json provenance_of(const fs::path& run) {
  const fs::path path = run / "provenance.json";
  if (!fs::exists(path)) return Json::object();
  Json found = Json::parse(read_file(path), nullptr, false);
  return found.is_object() ? found : Json::object();
}

std::string text_in(const Json& object, const std::string& key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

fs::path damaged_of(const fs::path& path) { return path.string() + ".damaged"; }

RunDirectory::RunDirectory(const Communicator& comm, const fs::path& path, const std::string& trajectory_hash,
                           const LockPatience& patience)
    : path_(path), checkpoints_(path / "checkpoints"), root_(comm.root()) {
  comm.on_root([&] { open_on_root(trajectory_hash, patience); });
}

void RunDirectory::open_on_root(const std::string& trajectory_hash, const LockPatience& patience) {
  std::error_code error;
  fs::create_directories(checkpoints_, error);
  LAWA_CHECK(!error, "run.directory: ", path_.string(), " can't be made: ", error.message());
  check_fits(path_, part_of(fs::path("checkpoints") / ("step_" + std::string(18, '0') + ".weights.h5")));  // 18 digits, at most
  lock_.emplace(path_ / "run.lock", FileLock::End::keep, patience);
  check_trajectory(trajectory_hash, patience);
  lock_to_write(checkpoints_, {.seconds = patience.seconds, .key = patience.key});  // only to remove what a killed run has left there
}

/// The folder is this run's, as provenance.json says, or in its place the records of the checkpoints.
void RunDirectory::check_trajectory(const std::string& trajectory_hash, const LockPatience& patience) const {
  const fs::path provenance = path_ / "provenance.json";
  const bool there = fs::exists(provenance);
  const std::string described = text_in(provenance_of(path_), "trajectory_hash");
  const std::string found = described.empty() ? trajectory_of_records(checkpoints_) : described;
  LAWA_CHECK(!found.empty() || !there, provenance.string(), ": is damaged, and no checkpoint says which run this is; choose another folder");
  LAWA_CHECK(found.empty() || found == trajectory_hash, "run.directory: ", path_.string(), " holds another run (trajectory ", found.substr(0, 8),
             ", this config's is ", trajectory_hash.substr(0, 8), "); its config.toml says which keys differ. Choose another folder");
  if (!described.empty() || found.empty()) return;
  if (there) write_file(damaged_of(provenance), read_file(provenance));
  if (patience.say)
    patience.say(provenance.string() + (there ? ": is damaged (a copy is " + damaged_of(provenance).string() + ")" : ": is missing") +
                 "; the checkpoints say which run this is, and it is written anew");
}

void RunDirectory::describe(const std::string& config, const Json& provenance) const {
  if (!root_) return;
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

void RunDirectory::retire_states(int64_t count, int64_t newest) const {
  if (!root_) return;
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

}  // namespace lawa
