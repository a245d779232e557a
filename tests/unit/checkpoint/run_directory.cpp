// A run's folder: one process at a time, one trajectory, and what a kill leaves behind.
#include "checkpoint/run_directory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "core/files.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class RunDirectories : public testing::Test {
 protected:
  const Communicator comm = Communicator::world();
  const TemporaryDirectory folder;
  const fs::path run = folder / "runs/first";

  std::string error_of_opening(const std::string& trajectory = "abc") const {
    return error_of([&] { RunDirectory(comm, run, trajectory); });
  }
};

/// Takes a file's lock without waiting. True when nobody else had it.
bool take_lock(const fs::path& path, short type) {
  struct flock whole {};
  whole.l_type = type;
  const int descriptor = ::open(path.c_str(), O_RDWR);
  return descriptor >= 0 && ::fcntl(descriptor, F_SETLK, &whole) == 0;
}

/// Another process: says 'y' or 'n' for whether it got the lock, and keeps it until the object goes.
class LockingProcess {
 public:
  explicit LockingProcess(const fs::path& path, short type = F_WRLCK) {
    int report[2], wait[2];
    if (::pipe(report) != 0 || ::pipe(wait) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(wait[1]);
      char word = take_lock(path, type) ? 'y' : 'n';
      const bool told = ::write(report[1], &word, 1) == 1 && ::read(wait[0], &word, 1) == 0;  // 0: the parent closed its end
      ::_exit(told ? 0 : 1);
    }
    ::close(wait[0]);
    wait_ = wait[1];
    char word = '?';
    has_lock_ = ::read(report[0], &word, 1) == 1 && word == 'y';
    ::close(report[0]);
    ::close(report[1]);
  }
  ~LockingProcess() {
    ::close(wait_);
    ::waitpid(pid_, nullptr, 0);
  }
  LockingProcess(const LockingProcess&) = delete;
  LockingProcess& operator=(const LockingProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool has_lock() const { return has_lock_; }

 private:
  pid_t pid_ = -1;
  int wait_ = -1;
  bool has_lock_ = false;
};

TEST_F(RunDirectories, AreMadeWithTheirParents) {
  RunDirectory directory(comm, run, "abc");
  EXPECT_EQ(directory.checkpoints(), run / "checkpoints");
  EXPECT_TRUE(fs::is_directory(run / "checkpoints"));
  directory.describe("seed = 1\n", {{"trajectory_hash", "abc"}});
  EXPECT_EQ(read_file(run / "config.toml"), "seed = 1\n");
  EXPECT_EQ(Json::parse(read_file(run / "provenance.json")), (Json{{"trajectory_hash", "abc"}}));
}

TEST_F(RunDirectories, RefuseASecondProcess) {
  fs::create_directories(run);
  write_file(run / "run.lock", "");
  {
    const LockingProcess other(run / "run.lock");
    ASSERT_TRUE(other.has_lock());
    EXPECT_THAT(error_of_opening(), AllOf(HasSubstr("run.lock: another process is running in this folder"),
                                          HasSubstr(concat("(pid ", other.pid(), ")"))));
  }
  EXPECT_EQ(error_of_opening(), "no error") << "a process that ended leaves no lock behind";
}

TEST_F(RunDirectories, KeepTheirLockAsLongAsTheyLive) {
  {
    const RunDirectory directory(comm, run, "abc");
    EXPECT_FALSE(LockingProcess(run / "run.lock").has_lock());
  }
  EXPECT_TRUE(LockingProcess(run / "run.lock").has_lock());
}

TEST_F(RunDirectories, GoOnWithTheSameTrajectoryOnly) {
  RunDirectory(comm, run, "abc").describe("", {{"trajectory_hash", "abc"}});
  EXPECT_EQ(error_of_opening("abc"), "no error");
  EXPECT_THAT(error_of_opening("def"), HasSubstr(run.string() + " holds another run (trajectory abc, this config's is def)"));
}

constexpr const char* damages[] = {"", "[]", "{\"trajectory_hash\"", "{}", "{\"trajectory_hash\": 5}", "{\"trajectory_hash\": null}", "null"};

TEST_F(RunDirectories, RecordsSayWhoseACheckpointIsWhereProvenanceIsDamaged) {
  fs::create_directories(run / "checkpoints");
  write_record(run / "checkpoints", {10, 960, "abc", {"step_00000010.weights.h5", 0, {}, ""}, {}});
  write_file(record_path(run / "checkpoints", 5), "{");
  std::string said;
  const LockPatience telling{.seconds = 0, .key = "", .say = [&](const std::string& line) { said += line + "\n"; }};
  for (const char* text : damages) {
    write_file(run / "provenance.json", text);
    said.clear();
    EXPECT_EQ(error_of([&] { RunDirectory(comm, run, "abc", telling); }), "no error") << text;
    EXPECT_THAT(said, HasSubstr("provenance.json: is damaged (a copy is " + (run / "provenance.json.damaged").string() + ")"));
    EXPECT_EQ(read_file(run / "provenance.json.damaged"), text);
    EXPECT_THAT(error_of_opening("def"), HasSubstr("holds another run (trajectory abc, this config's is def)")) << text;
  }
  fs::remove(run / "provenance.json");
  EXPECT_EQ(error_of([&] { RunDirectory(comm, run, "abc", telling); }), "no error");
  EXPECT_THAT(said, HasSubstr("provenance.json: is missing"));
  EXPECT_THAT(error_of_opening("def"), HasSubstr("holds another run"));
}

TEST_F(RunDirectories, OfUnknownOriginAreRefused) {
  fs::create_directories(run);
  for (const char* text : damages) {
    write_file(run / "provenance.json", text);
    EXPECT_THAT(error_of_opening(), HasSubstr("provenance.json: is damaged, and no checkpoint says which run this is")) << text;
  }
}

TEST_F(RunDirectories, LinesThatCannotBeReadAreKeptElsewhere) {
  const RunDirectory directory(comm, run, "abc");
  const std::string kept = R"({"kind":"train","step":1})" "\n" R"({"kind":"evaluate","step":2,"model":"plain","loss":null})" "\n";
  const std::vector<std::string> damaged{R"({"kind":5})",   R"({"kind":"train","step":null})", R"({"kind":"train","step":1.5})", "no JSON", "[]", "",
                                         R"({"kind":null})", R"({"step":1,"evaluated_at":"2"})", R"({"kind":"evaluate","model":7,"step":1})"};
  std::string lines;
  for (const std::string& line : damaged) lines += line + "\n";
  write_file(run / "metrics.jsonl", lines + kept + R"({"kind":"train","st)");
  EXPECT_EQ(directory.metrics("train").size(), 1u);
  EXPECT_EQ(directory.metrics("evaluate").size(), 1u);
  EXPECT_EQ(directory.cut_metrics(2), std::ssize(damaged)) << "the torn one behind the last end of a line is none of them";
  EXPECT_EQ(read_file(run / "metrics.jsonl"), kept);
  EXPECT_EQ(read_file(run / "metrics.jsonl.damaged"), lines);
  EXPECT_EQ(directory.cut_metrics(2), 0);
  write_file(run / "metrics.jsonl", kept + "again\n");
  EXPECT_EQ(directory.cut_metrics(2), 1);
  EXPECT_EQ(read_file(run / "metrics.jsonl.damaged"), lines + "again\n") << "behind those before";
}

TEST_F(RunDirectories, SweepAwayWhatAKilledSaveLeft) {
  const fs::path weights = weights_path(run / "checkpoints", 10);
  fs::create_directories(run / "checkpoints");
  write_file(weights, "");
  const std::string part = part_of(weights).string();
  for (const std::string& left : {part, part + ".data.1", part + ".metadata.1"}) write_file(left, "");  // Open MPI keeps the last two beside it
  const RunDirectory directory(comm, run, "abc");
  for (const std::string& left : {part, part + ".data.1", part + ".metadata.1"}) EXPECT_FALSE(fs::exists(left)) << left;
  EXPECT_TRUE(fs::exists(weights));
}

TEST_F(RunDirectories, FolderThatCannotBeMadeIsNamed) {
  write_file(folder / "runs", "a file where a folder should be");
  EXPECT_THAT(error_of_opening(), AllOf(HasSubstr("run.directory: "), HasSubstr(run.string()), HasSubstr("can't be made")));
}

TEST_F(RunDirectories, AppendOneLineAnEvent) {
  const RunDirectory directory(comm, run, "abc");
  directory.append({{"kind", "train"}, {"step", 1}});
  directory.append({{"kind", "evaluate"}, {"step", 1}});
  EXPECT_EQ(read_file(run / "metrics.jsonl"), "{\"kind\":\"train\",\"step\":1}\n{\"kind\":\"evaluate\",\"step\":1}\n");
}

TEST_F(RunDirectories, CutMetricsAfterAStepAndWhereTheyAreTorn) {
  const RunDirectory directory(comm, run, "abc");
  directory.cut_metrics(5);
  EXPECT_FALSE(fs::exists(run / "metrics.jsonl")) << "there was nothing to cut";
  const std::string kept = "{\"kind\":\"start\"}\n{\"step\":1,\"loss\":2.5}\n{\"step\":2}\n";
  write_file(run / "metrics.jsonl", kept + "{\"step\":3}\n{\"step\":30}\n{\"step\":2,\"lo");
  directory.cut_metrics(2);
  EXPECT_EQ(read_file(run / "metrics.jsonl"), kept);
  directory.append({{"step", 3}});
  EXPECT_EQ(read_file(run / "metrics.jsonl"), kept + "{\"step\":3}\n");
}

TEST_F(RunDirectories, EvaluationsOfTheStepItselfAreCutWhenTheyAreMadeAgain) {
  const RunDirectory directory(comm, run, "abc");
  const std::string first = R"({"kind":"evaluate","step":5})" "\n" R"({"kind":"train","step":10})" "\n";
  const std::string last = R"({"kind":"stopped","step":10})" "\n";
  const std::string evaluations = R"({"kind":"evaluate","step":10})" "\n" R"({"kind":"evaluate","step":8,"evaluated_at":10})" "\n";
  write_file(run / "metrics.jsonl", first + evaluations + last);
  directory.cut_metrics(10);
  EXPECT_EQ(read_file(run / "metrics.jsonl"), first + evaluations + last);
  directory.cut_metrics(10, true);
  EXPECT_EQ(read_file(run / "metrics.jsonl"), first + last);
}

TEST_F(RunDirectories, AnAveragesLineIsCutByWhenItWasEvaluated) {
  const RunDirectory directory(comm, run, "abc");
  const std::string kept = "{\"kind\":\"evaluate\",\"step\":8,\"evaluated_at\":10}\n";
  write_file(run / "metrics.jsonl", kept + "{\"kind\":\"evaluate\",\"step\":8,\"evaluated_at\":12}\n");
  directory.cut_metrics(10);
  EXPECT_EQ(read_file(run / "metrics.jsonl"), kept);
  ASSERT_EQ(directory.metrics("evaluate").size(), 1u);
  EXPECT_EQ(directory.metrics("evaluate")[0].at("evaluated_at"), 10);
  EXPECT_TRUE(directory.metrics("train").empty());
}

TEST_F(RunDirectories, RetireStatesButTheNewestAndTheirRecordsStayTrue) {
  RunDirectory directory(comm, run, "abc");
  const fs::path checkpoints = directory.checkpoints();
  const std::vector<int64_t> steps{10, 20, 30, 40, 50};
  for (const int64_t step : steps) {
    write_file(weights_path(checkpoints, step), "weights");
    CommitRecord record{step, 96 * step, "abc", describe_file(weights_path(checkpoints, step), {}), {}};
    if (step != 30) {  // states may be rarer than weights
      write_file(state_path(checkpoints, step), "state");
      record.state = describe_file(state_path(checkpoints, step), {});
    }
    write_record(checkpoints, record);
  }
  write_file(record_path(checkpoints, 35), "{\"step\": 3");  // torn: left alone
  const auto with_state = [&] {
    std::vector<int64_t> found;
    for (const int64_t step : steps) {
      const CommitRecord record = read_record(record_path(checkpoints, step));
      EXPECT_NO_THROW(verify_file(checkpoints, record.weights));
      EXPECT_EQ(record.state.has_value(), fs::exists(state_path(checkpoints, step))) << step;
      if (record.state) found.push_back(step);
    }
    return found;
  };
  directory.retire({.states = 2}, 40);
  EXPECT_THAT(with_state(), ElementsAre(20, 40, 50)) << "what lies beyond the newest step doesn't count";
  write_file(state_path(checkpoints, 30), "orphan");  // what a kill leaves between the new record and the removal
  directory.retire({.states = 1}, 50);
  EXPECT_THAT(with_state(), ElementsAre(50));
}

TEST_F(RunDirectories, WhatIsTemporaryGoesWithTheNextState) {
  using Temporary = OpenEnds::Temporary;
  RunDirectory directory(comm, run, "abc");
  const fs::path checkpoints = directory.checkpoints();
  const auto write = [&](int64_t step, Temporary temporary) {
    write_file(weights_path(checkpoints, step), "weights");
    write_file(state_path(checkpoints, step), "state");
    write_record(checkpoints, {step, 96 * step, "abc", describe_file(weights_path(checkpoints, step), {}),
                               describe_file(state_path(checkpoints, step), {}), {temporary, false}});
    directory.retire({.states = 2}, step);
  };
  for (const int64_t step : {10, 20}) write(step, Temporary::nothing);
  write(25, Temporary::checkpoint);
  EXPECT_THAT(state_steps(checkpoints), ElementsAre(10, 20, 25)) << "it doesn't crowd out others";
  write(27, Temporary::state);
  EXPECT_THAT(state_steps(checkpoints), ElementsAre(10, 20, 27));
  EXPECT_THAT(recorded_steps(checkpoints), ElementsAre(10, 20, 27));
  EXPECT_FALSE(fs::exists(weights_path(checkpoints, 25)));
  write(30, Temporary::nothing);
  EXPECT_THAT(state_steps(checkpoints), ElementsAre(20, 30));
  EXPECT_THAT(recorded_steps(checkpoints), ElementsAre(10, 20, 27, 30)) << "the weights of step 27 were due";
  const CommitRecord record = read_record(record_path(checkpoints, 27));
  EXPECT_FALSE(record.state || record.open.temporary != Temporary::nothing);
}

/// A run's folder with checkpoints, some with a state.
class Retention : public RunDirectories {
 protected:
  RunDirectory directory{comm, run, "abc"};
  const fs::path checkpoints = directory.checkpoints();

  void SetUp() override { directory.describe("", {{"trajectory_hash", "abc"}}); }
  void write(int64_t step, bool state = false, OpenEnds::Temporary temporary = OpenEnds::Temporary::nothing) const {
    write_file(weights_path(checkpoints, step), "weights");
    if (state) write_file(state_path(checkpoints, step), "state");
    CommitRecord record{step, 96 * step, "abc", describe_file(weights_path(checkpoints, step), {}), {}, {temporary, false}};
    if (state) record.state = describe_file(state_path(checkpoints, step), {});
    write_record(checkpoints, record);
  }
  void write_ten() const {
    for (int64_t step = 10; step <= 100; step += 10) write(step, step % 40 == 0);  // states at 40 and 80
  }
  /// Of those that are there, each whole.
  std::vector<int64_t> present() const {
    EXPECT_EQ(recorded_steps(checkpoints), weights_steps(checkpoints));
    for (const int64_t step : recorded_steps(checkpoints)) EXPECT_NO_THROW(verify_file(checkpoints, read_record(record_path(checkpoints, step)).weights));
    return recorded_steps(checkpoints);
  }
};

TEST_F(Retention, KeepsTheNewestThoseOfEverySoManyStepsAndThoseWithAState) {
  write_ten();
  directory.retire({.states = 9}, 100);
  EXPECT_THAT(present(), testing::SizeIs(10)) << "all of them, as a rule";
  directory.retire({.states = 9, .weights = 4, .weights_steps = 30}, 100);
  EXPECT_THAT(present(), ElementsAre(30, 40, 60, 70, 80, 90, 100));
  directory.retire({.states = 1, .weights = 2, .weights_steps = 60}, 100);
  EXPECT_THAT(present(), ElementsAre(60, 80, 90, 100));
  directory.retire({.states = 1, .weights = 1}, 100);
  EXPECT_THAT(present(), ElementsAre(80, 100)) << "the run goes on from 80";
}

TEST_F(Retention, WhatIsDamagedTemporaryOrBeyondDoesNotCrowdOutOthers) {
  write_ten();
  write(105, true, OpenEnds::Temporary::checkpoint);
  write(500);  // of a run that has been cut back
  write_file(record_path(checkpoints, 70), "{");
  directory.retire({.states = 9, .weights = 3}, 105);
  EXPECT_THAT(recorded_steps(checkpoints), ElementsAre(40, 70, 80, 90, 100, 105, 500)) << "what can't be read is left alone";
}

TEST_F(Retention, WhatAKillHasLeftGoes) {
  write_ten();
  fs::remove(record_path(checkpoints, 20));  // between the removal of the record and that of its file
  fs::remove(record_path(checkpoints, 90));  // a save that was killed, among the newest
  EXPECT_THAT(weights_files({run.string()}), testing::SizeIs(8)) << "the list is consistent all the same";
  directory.retire({.states = 9, .weights = 2}, 100);
  EXPECT_THAT(recorded_steps(checkpoints), ElementsAre(40, 80, 100));
  EXPECT_THAT(weights_steps(checkpoints), ElementsAre(40, 80, 90, 100));
}

TEST_F(Retention, NothingGoesWhileSomebodyReads) {
  write_ten();
  const Kept kept{.states = 1, .weights = 2};
  {
    const LockingProcess reader(run / readers_lock_name, F_RDLCK), another(run / readers_lock_name, F_RDLCK);
    ASSERT_TRUE(reader.has_lock() && another.has_lock());
    EXPECT_EQ(directory.retire(kept, 100), Readers::Found::some);
    EXPECT_THAT(present(), testing::SizeIs(10));
    EXPECT_THAT(state_steps(checkpoints), ElementsAre(40, 80));
  }
  EXPECT_EQ(directory.retire(kept, 100), Readers::Found::none);
  EXPECT_THAT(present(), ElementsAre(80, 90, 100));
}

TEST_F(Retention, ReadersOfAnyPlaceInARunHoldItsLock) {
  write_ten();
  for (const fs::path& place : {run, run / "", run / "checkpoints", run / "checkpoints/", weights_path(checkpoints, 10)}) {
    const ReadersLock reading(comm, {place.string(), (folder / "elsewhere").string()});
    EXPECT_FALSE(LockingProcess(run / readers_lock_name).has_lock()) << place;
    EXPECT_TRUE(LockingProcess(run / readers_lock_name, F_RDLCK).has_lock()) << place;
  }
  EXPECT_TRUE(LockingProcess(run / readers_lock_name).has_lock());
}

TEST_F(Retention, NothingGoesUnlessTheNewestIsWhole) {
  write_ten();
  write_file(weights_path(checkpoints, 100), "other weights");
  EXPECT_THAT(error_of([&] { directory.retire({.states = 1, .weights = 1}, 100); }), HasSubstr("step_00000100.weights.h5"));
  EXPECT_THAT(recorded_steps(checkpoints), testing::SizeIs(10));
}

}  // namespace
}  // namespace lawa
