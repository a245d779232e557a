#include "train/saver.hpp"

#include "average/scheme.hpp"
#include "train/summary.hpp"
#include "tensor/phases.hpp"

namespace lawa {
namespace fs = std::filesystem;

namespace {

WriteOptions options_of(const CheckpointConfig& config) {
  return {.fsync = config.fsync, .through_hdf5 = config.writer == "hdf5", .hints = config.hints};
}

SavePolicy policy_of(const CheckpointConfig& config, const RunDirectory& directory, Log& log) {
  const auto failed = [&](const std::string& error) {
    log.line("a save failed, and is tried again: " + error);
    try {
      directory.append({{"kind", "save_failed"}, {"error", error}});
    } catch (const Error& other) {  // the same disk, perhaps
      log.line(other.what());
    }
  };
  return {.wait = !config.asynchronous, .tries = config.tries, .failed = failed};
}

}  // namespace

Saver::Saver(const Communicator& comm, const TrainConfig& config, RunDirectory& directory, const Trainer& trainer,
             const FlatHeader& run, TimeLimit& limit, Log& log, std::function<void()> state_saved)
    : comm_(comm), config_(config), directory_(directory), trainer_(trainer), run_(run), limit_(limit), log_(log), state_saved_(std::move(state_saved)),
      saved_averages_(trainer.averages().size()),
      saves_(comm, trainer.layout(), options_of(config.checkpoint), policy_of(config.checkpoint, directory, log)) {}

void Saver::save(bool state, const OpenEnds& open) {
  const Phase phase(checkpoint_phase);
  const bool durably = config_.checkpoint.fsync;
  const int64_t step = trainer_.step();
  std::vector<Lock> locks;
  Save save;
  // Averages before the checkpoint: what a kill prevents is done again from the one before. A stop alone makes none of them due.
  if (open.temporary != OpenEnds::Temporary::checkpoint)
    for (const OnlineAverageConfig& config : config_.averages) {
      const size_t i = trainer_.averages().find(config);
      if (!config.save || trainer_.averages().step(i) == saved_averages_[i]) continue;
      const fs::path folder = directory_.path() / "averages" / lawa::folder(spec_of(config));
      locks.push_back(lock(folder));
      save.files.push_back(trainer_.average_file(i, folder, run_, durably));
      saved_averages_[i] = trainer_.averages().step(i);
    }
  locks.push_back(lock(directory_.checkpoints()));
  for (FileToSave& file : trainer_.checkpoint(directory_.checkpoints(), run_, state, open, durably)) save.files.push_back(std::move(file));
  save.before_names = [this, locks, durably] {
    for (const Lock& held : locks) held->check();
    if (durably) directory_.make_metrics_durable();  // no checkpoint without its past
  };
  const auto readers = std::make_shared<Readers::Found>();
  save.behind_names = [this, step, readers, &c = config_.checkpoint] {
    *readers = directory_.retire({.states = c.keep_states, .weights = c.keep_weights, .weights_steps = c.keep_weights_steps}, step);
  };
  save.done = [this, step, state, readers](double seconds, double worked) {
    report(step, state, seconds, worked);
    if (comm_.root()) report_readers(*readers);
  };
  saves_.begin(std::move(save));
}

void Saver::advance(int64_t of_all) {
  const Phase phase(checkpoint_phase);
  saves_.advance(of_all);
}

void Saver::finish() {
  const Phase phase(checkpoint_phase);
  saves_.finish();
}

/// Held by rank 0 as long as a save needs it: an averaging job may have been told to write there.
Saver::Lock Saver::lock(const fs::path& folder) {
  Lock held;
  comm_.on_root([&] {
    held = locks_[folder].lock();
    if (!held) locks_[folder] = held = lock_to_write(folder, {.seconds = config_.run.lock_seconds, .key = "run.lock_seconds", .stops = false});
  });
  return held;
}

void Saver::report(int64_t step, bool state, double seconds, double worked) {
  if (state) {
    const int at_a_time = config_.checkpoint.asynchronous ? 2 : 1;  // a stop may come while one is under way
    limit_.saved(at_a_time * comm_.max(worked));
    state_saved_();
  }
  directory_.append({{"kind", "checkpoint"}, {"step", step}, {"state", state}, {"seconds", seconds}});
}

/// Why checkpoints that needn't be kept any more stay; once.
void Saver::report_readers(Readers::Found found) {
  const bool all_stay = found == Readers::Found::some || (found == Readers::Found::unknown && config_.checkpoint.keep_weights > 0);
  if (all_stay && !said_that_all_stay_)
    log_.line(config_.run.directory + (found == Readers::Found::some
                  ? ": another process reads its checkpoints: none goes until it has ended"
                  : ": this file system has no locks: checkpoint.keep_weights removes nothing, as nobody can tell who reads"));
  said_that_all_stay_ = all_stay;
}

}  // namespace lawa
