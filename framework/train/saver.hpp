// What a run keeps: checkpoints, the files of averages, and how long.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/background_saves.hpp"
#include "checkpoint/run_directory.hpp"
#include "core/log.hpp"
#include "train/time_limit.hpp"
#include "train/trainer.hpp"

namespace lawa {

/// Saves what a run has at a step, while it goes on. Every function but mine() is collective, and errors (of a save that was tried
/// checkpoint.tries times) reach all ranks.
class Saver {
 public:
  /// What is passed by reference must outlive it. run: what headers say of the run. A state that is there is told to the limit, and to `state_saved`.
  Saver(const Communicator& comm, const TrainConfig& config, RunDirectory& directory, const Trainer& trainer, const FlatHeader& run,
        TimeLimit& limit, Log& log, std::function<void()> state_saved);

  /// The present step's checkpoint, `open` in its record, and the averages that are kept as files. The weights must be finite.
  void save(bool state, const OpenEnds& open);
  /// How far this rank is (BackgroundSaves::mine), and what all ranks have agreed on.
  int64_t mine() const { return saves_.mine(); }
  void advance(int64_t of_all);
  /// Returns when all that was saved is durable.
  void finish();

 private:
  using Lock = std::shared_ptr<FileLock>;
  Lock lock(const std::filesystem::path& folder);
  void report(int64_t step, bool state, double seconds, double worked);
  void report_readers(Readers::Found found);

  const Communicator& comm_;
  const TrainConfig& config_;
  RunDirectory& directory_;
  const Trainer& trainer_;
  const FlatHeader& run_;
  TimeLimit& limit_;
  Log& log_;
  std::function<void()> state_saved_;
  bool said_that_all_stay_ = false;
  std::vector<int64_t> saved_averages_;                             ///< the step of each average's last weights file
  std::map<std::filesystem::path, std::weak_ptr<FileLock>> locks_;  ///< of folders, as long as a save needs them; rank 0's
  BackgroundSaves saves_;                                           ///< last: its thread uses all of the others
};

}  // namespace lawa
