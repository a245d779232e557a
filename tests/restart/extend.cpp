// A larger schedule.steps goes on with a run where its rates so far allow it; elsewhere the message says why not, and what to do.
#include <gmock/gmock.h>

#include "checkpoint/commit_record.hpp"
#include "core/files.hpp"
#include "restart/finished_run.hpp"
#include "support/errors.hpp"

namespace lawa::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Extend : public FinishedRun {
 protected:
  /// A run of another schedule on the finished one's tokens, not begun yet.
  TrainConfig another(const std::string& name, const std::string& kind, int64_t steps, int64_t decay_steps = 0) const {
    TrainConfig config = finished_;
    config.run.directory = (directory_ / name).string();
    config.schedule.kind = kind;
    config.schedule.steps = steps;
    config.schedule.decay_steps = decay_steps;
    config.checkpoint.keep_states = 8;
    for (OnlineAverageConfig& average : config.averages) average.evaluate_steps = 0;  // all at multiples of ten, as the ends here are
    return config;
  }
  std::string error_of_running(const TrainConfig& config) const {
    return error_of([&] { run(comm_, config); });
  }
  std::string hash_of(const TrainConfig& config, int64_t step) const {
    return read_record(record_path(checkpoints_of(config), step)).trajectory_hash;
  }
};

TEST_F(Extend, AConstantRateGoesOnAsIfTheRunHadBeenThatLongFromTheStart) {
  const TrainConfig whole = another("whole", "constant", 30);
  TrainConfig extended = another("extended", "constant", 10);
  run(comm_, whole);
  run(comm_, extended);
  extended.schedule.steps = 20;
  run(comm_, extended);
  EXPECT_THAT(metrics(extended, "resume", "step"), ElementsAre(10));
  extended.schedule.steps = 30;
  run(comm_, extended);
  expect_same_run(extended, whole);
  EXPECT_EQ(hash_of(extended, 30), hash_of(extended, 5)) << "one trajectory, that is averaged as one";
  run(comm_, extended);  // it is complete
  EXPECT_THAT(metrics(extended, "resume", "step"), ElementsAre(10, 20));
}

TEST_F(Extend, AnExtendedRunThatIsKilledGoesOn) {
  const TrainConfig whole = another("whole", "constant", 30);
  TrainConfig extended = another("extended", "constant", 20);
  run(comm_, whole);
  run(comm_, extended);
  extended.schedule.steps = 30;
  run(comm_, extended);
  for (const int64_t step : {25, 20}) {  // the newest checkpoint has the new number, and the old one
    cut_back(comm_, extended, step);
    run(comm_, extended);
    expect_same_run(extended, whole);
  }
  extended.schedule.steps = 20;
  EXPECT_THAT(error_of_running(extended), HasSubstr("schedule.steps is 30 there and 20 here; it is at step 30 already"));
}

TEST_F(Extend, WarmUpStableDecayGoesOnBeforeItsDecay) {
  const TrainConfig whole = another("whole", "wsd", 30, 8);
  TrainConfig extended = another("extended", "wsd", 20, 8);
  run(comm_, whole);
  run(comm_, extended);
  TrainConfig longer = extended;
  longer.schedule.steps = 30;
  EXPECT_THAT(error_of_running(longer),
              AllOf(HasSubstr("schedule.steps is 20 there and 30 here; it is at step 20, and the learning rate of step 14 would have been 0.003, not 0.0026625"),
                    HasSubstr("branch off at step 20: start.checkpoint="),
                    HasSubstr("branch off at step 10, as if it had been so from the start: start.checkpoint=" + weights_path(checkpoints_of(extended), 10).string() +
                              " run.directory=")));
  TrainConfig branch = longer;  // as the message has it
  branch.start.checkpoint = weights_path(checkpoints_of(extended), 10).string();
  branch.run.directory = (directory_ / "branch").string();
  run(comm_, branch);
  EXPECT_EQ(weights_digest(branch, 30), weights_digest(whole, 30));

  cut_back(comm_, extended, 10);  // killed before its decay
  run(comm_, longer);
  expect_same_run(longer, whole);
  EXPECT_THAT(error_of_running(extended), HasSubstr("schedule.steps is 30 there and 20 here; it is at step 30, and")) << "although the hash is the same";
}

TEST_F(Extend, ACosineCannotBeExtendedUnlessItsDecayHasAnEndOfItsOwn) {
  TrainConfig longer = finished_;
  longer.schedule.steps = 30;
  EXPECT_THAT(error_of_running(longer), AllOf(HasSubstr("holds another run: schedule.steps is 20 there and 30 here; it is at step 20, and the learning rate of step 5 "),
                                              HasSubstr("branch off at step 20: start.checkpoint="), Not(HasSubstr("as if"))));
  TrainConfig ended = another("ended", "cosine", 20, 15);
  const TrainConfig whole = another("whole", "cosine", 30, 15);
  run(comm_, ended);
  run(comm_, whole);
  ended.schedule.steps = 30;
  run(comm_, ended);
  expect_same_run(ended, whole);
}

TEST_F(Extend, EveryKeyOfAnotherRunIsNamedWithBothValues) {
  TrainConfig other = finished_;
  other.seed = 8;
  other.optimizer.weight_decay = 0.25;
  other.schedule.peak_lr = 0.5;
  EXPECT_THAT(error_of_running(other), AllOf(HasSubstr("seed is 7 there and 8 here"), HasSubstr("optimizer.weight_decay is 0.1 there and 0.25 here"),
                                             HasSubstr("schedule.peak_lr is 0.003 there and 0.5 here"), HasSubstr("; choose another run.directory"),
                                             HasSubstr("or branch off at step 15: start.checkpoint=")));
  other = finished_;
  other.model.channels *= 2;
  other.model.bias = !other.model.bias;
  EXPECT_THAT(error_of_running(other), AllOf(HasSubstr("model.channels is "), HasSubstr("model.bias is "), HasSubstr("choose another run.directory"), Not(HasSubstr("branch"))));
  other = finished_;
  std::swap(other.data.train, other.data.validation);
  EXPECT_THAT(error_of_running(other), AllOf(HasSubstr("data.train is ["), HasSubstr("] (digest "), HasSubstr(" there and ["), Not(HasSubstr("schedule"))));
  other = finished_;
  other.start.weights = weights_path(checkpoints_of(finished_), 5).string();
  EXPECT_THAT(error_of_running(other), AllOf(HasSubstr("start.weights is \"\" there and \""), Not(HasSubstr("branch"))));
}

/// People change the folder's own config.toml: what the checkpoints say counts.
TEST_F(Extend, AChangedConfigInTheFolderDoesNotHideWhatTheRunWasMadeWith) {
  TrainConfig config = copy();
  config.schedule.steps = 30;
  comm_.on_root([&] { write_file(fs::path(config.run.directory) / "config.toml", dump_config(config)); });
  EXPECT_THAT(error_of_running(config), HasSubstr("schedule.steps is 20 there and 30 here"));
  cut_back(comm_, config, 0);
  EXPECT_THAT(error_of_running(config), HasSubstr("holds another run (trajectory ")) << "no checkpoint, and nothing that says which keys differ";
}

TEST_F(Extend, RunsWhoseConfigCannotBeReadGoOnByTheirHash) {
  const TrainConfig config = copy();
  cut_back(comm_, config, 15);
  comm_.on_root([&] { fs::remove(fs::path(config.run.directory) / "config.toml"); });
  run(comm_, config);
  expect_same_run(config, finished_);
}

}  // namespace
}  // namespace lawa::test
