#include "checkpoint/run_directory.hpp"

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

}  // namespace

RunDirectory::RunDirectory(const Communicator& comm, const fs::path& path, const std::string& trajectory_hash,
                           const LockPatience& patience)
    : path_(path), checkpoints_(path / "checkpoints"), root_(comm.root()) {
  comm.on_root([&] { open_on_root(trajectory_hash, patience); });
}

void RunDirectory::open_on_root(const std::string& trajectory_hash, const LockPatience& patience) {
  std::error_code error;
  fs::create_directories(checkpoints_, error);
  LAWA_CHECK(!error, "run.directory: ", path_.string(), " can't be made: ", error.message());
  lock_.emplace(path_ / "run.lock", FileLock::End::keep, patience);
  const fs::path provenance = path_ / "provenance.json";
  if (fs::exists(provenance)) {
    const Json found = Json::parse(read_file(provenance), nullptr, false);
    const std::string other = found.is_object() ? found.value("trajectory_hash", "") : "";
    LAWA_CHECK(other == trajectory_hash, "run.directory: ", path_.string(), " holds another run (trajectory ", other.substr(0, 8),
               ", this config's is ", trajectory_hash.substr(0, 8), "); its config.toml says which keys differ. Choose another folder");
  } else {
    LAWA_CHECK(recorded_steps(checkpoints_).empty(), "run.directory: ", path_.string(), " holds checkpoints, but no provenance.json");
  }
  std::vector<fs::path> parts;
  for (const fs::path& folder : {checkpoints_, path_ / "averages"})
    if (fs::is_directory(folder))
      for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.path().extension() == ".part") parts.push_back(entry.path());
  for (const fs::path& part : parts) fs::remove(part);  // a killed run's, and the lock is ours
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
    if (const Json entry = Json::parse(line, nullptr, false); entry.is_object() && entry.value("kind", "") == kind) found.push_back(entry);
  return found;
}

void RunDirectory::cut_metrics(int64_t step, bool evaluations) const {
  const fs::path path = path_ / "metrics.jsonl";
  if (!root_ || !fs::exists(path)) return;
  std::istringstream lines(read_file(path));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, false);  // a line that was cut by a kill isn't JSON
    if (!entry.is_object()) continue;
    const int64_t at = entry.value("evaluated_at", entry.value("step", int64_t{0}));
    if (at < step || (at == step && !(evaluations && entry.value("kind", "") == "evaluate"))) kept += line + "\n";
  }
  write_file(path, kept);
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
