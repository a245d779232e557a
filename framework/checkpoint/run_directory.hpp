// A run's folder: config.toml, provenance.json, metrics.jsonl, checkpoints/, run.lock, readers.lock.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/commit_record.hpp"
#include "checkpoint/readers_lock.hpp"
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

/// What a run keeps of its checkpoints.
struct Kept {
  int64_t states = 1;         ///< the newest so many
  int64_t weights = 0;        ///< the newest so many; 0: all
  int64_t weights_steps = 0;  ///< and those of every so many steps; 0: no others
};

class RunDirectory {
 public:
  /// Whether a config goes on with the run that is there, whose trajectory hash is given: then that is its hash from now on, even where the
  /// config's own is another one. False: the two have to be the same. It may refuse in better words.
  using GoesOn = std::function<bool(const std::string& found)>;

  /// Makes the folder, or goes on in one that was made for the same trajectory; waits for another process that is running in it.
  /// Collective. A provenance.json that is damaged or missing is no error where a checkpoint's record says which trajectory it is: that
  /// is said by patience.say. `goes_on` is asked on rank 0 wherever there is a run. Errors: FileLock's; it holds another trajectory; it
  /// can't be written.
  RunDirectory(const Communicator& comm, const std::filesystem::path& path, const std::string& trajectory_hash,
               const LockPatience& patience = {}, const GoesOn& goes_on = {});
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& checkpoints() const { return checkpoints_; }
  /// Of all its checkpoints: as it was when the run began.
  const std::string& trajectory_hash() const { return trajectory_hash_; }
  /// Writes config.toml, provenance.json and the readers' lock file. Rank 0 writes, others return.
  void describe(const std::string& config, const Json& provenance);
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
  /// Of the checkpoints up to step `newest`, which must be whole, removes the states and then the weights that needn't be kept, each after
  /// its record has ceased to name it, and what a kill has left of that. What is temporary (OpenEnds) doesn't count, and goes when there
  /// is a newer state. What lies beyond (damaged, or the run would be there) and what can't be read doesn't count. While somebody reads
  /// (ReadersLock) all stay, and where nobody can tell, the weights do. On rank 0 only; on others it returns none.
  Readers::Found retire(const Kept& kept, int64_t newest);

 private:
  void check_trajectory(const LockPatience& patience, const GoesOn& goes_on);
  void open_on_root(const LockPatience& patience, const GoesOn& goes_on);
  void retire_states(int64_t count, int64_t newest) const;
  void retire_weights(const Kept& kept, int64_t newest) const;
  int64_t oldest_of(int64_t count, int64_t newest) const;

  std::filesystem::path path_, checkpoints_;
  std::string trajectory_hash_;
  bool root_;
  std::optional<FileLock> lock_;
  std::optional<Readers> readers_;
};

}  // namespace lawa
