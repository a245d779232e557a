// A run's folder: config.toml, provenance.json, metrics.jsonl, checkpoints/, run.lock.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/commit_record.hpp"
#include "comm/communicator.hpp"
#include "core/file_lock.hpp"
#include "core/json.hpp"

namespace lawa {

/// What provenance.json in a run's folder says; an empty object where there is none, or it is no object.
Json provenance_of(const std::filesystem::path& run);
/// A text in an object; "" where there is none.
std::string text_in(const Json& object, const std::string& key);
/// Where a copy of what can't be read is kept: `path` with ".damaged" behind it.
std::filesystem::path damaged_of(const std::filesystem::path& path);

class RunDirectory {
 public:
  /// Makes the folder, or goes on in one that was made for the same trajectory; waits for another process that is running in it.
  /// Collective. A provenance.json that is damaged or missing is no error where a checkpoint's record says which trajectory it is: that
  /// is said by patience.say. Errors: FileLock's; it holds another trajectory; it can't be written.
  RunDirectory(const Communicator& comm, const std::filesystem::path& path, const std::string& trajectory_hash,
               const LockPatience& patience = {});
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& checkpoints() const { return checkpoints_; }
  /// Writes config.toml and provenance.json. Rank 0 writes, others return.
  void describe(const std::string& config, const Json& provenance) const;
  /// Appends a line to metrics.jsonl; handed to the system at once. Rank 0 writes, others return. Errors: FileLock::check's.
  void append(const Json& line) const;
  /// Makes the lines so far survive a power cut. Rank 0 works, others return.
  void make_metrics_durable() const;
  /// The lines of metrics.jsonl of one kind. On rank 0 only; none on others.
  std::vector<Json> metrics(const std::string& kind) const;
  /// Drops the lines of metrics.jsonl that were written after `step` ("evaluated_at" says it where "step" is an average's), what
  /// a kill has torn at the end among them; with `evaluations`, also those of evaluations at `step` itself. Other lines that can't be
  /// read go to metrics.jsonl.damaged. Rank 0 works, others return. Returns how many these are.
  int64_t cut_metrics(int64_t step, bool evaluations = false) const;
  /// Of the states up to step `newest`, keeps the last `count` and removes the others, each after its record has ceased to name it.
  /// What is temporary (OpenEnds) doesn't count, and goes when there is a newer state. What lies beyond (damaged, or the run would be
  /// there) and what can't be read doesn't count. On rank 0 only.
  void retire_states(int64_t count, int64_t newest) const;

 private:
  void check_trajectory(const std::string& trajectory_hash, const LockPatience& patience) const;
  void open_on_root(const std::string& trajectory_hash, const LockPatience& patience);

  std::filesystem::path path_, checkpoints_;
  bool root_;
  std::optional<FileLock> lock_;
};

}  // namespace lawa
