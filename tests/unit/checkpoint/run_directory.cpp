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
bool take_lock(const fs::path& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  const int descriptor = ::open(path.c_str(), O_RDWR);
  return descriptor >= 0 && ::fcntl(descriptor, F_SETLK, &whole) == 0;
}

/// Another process: says 'y' or 'n' for whether it got the lock, and keeps it until the object goes.
class LockingProcess {
 public:
  explicit LockingProcess(const fs::path& path) {
    int report[2], wait[2];
    if (::pipe(report) != 0 || ::pipe(wait) != 0) throw std::runtime_error("no pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(wait[1]);
      char word = take_lock(path) ? 'y' : 'n';
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
  const RunDirectory directory(comm, run, "abc");
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
  write_file(part_of(weights), "");
  const RunDirectory directory(comm, run, "abc");
  EXPECT_FALSE(fs::exists(part_of(weights)));
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
  const RunDirectory directory(comm, run, "abc");
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
  directory.retire_states(2, 40);
  EXPECT_THAT(with_state(), ElementsAre(20, 40, 50)) << "what lies beyond the newest step doesn't count";
  write_file(state_path(checkpoints, 30), "orphan");  // what a kill leaves between the new record and the removal
  directory.retire_states(1, 50);
  EXPECT_THAT(with_state(), ElementsAre(50));
}

TEST_F(RunDirectories, WhatIsTemporaryGoesWithTheNextState) {
  using Temporary = OpenEnds::Temporary;
  const RunDirectory directory(comm, run, "abc");
  const fs::path checkpoints = directory.checkpoints();
  const auto write = [&](int64_t step, Temporary temporary) {
    write_file(weights_path(checkpoints, step), "weights");
    write_file(state_path(checkpoints, step), "state");
    write_record(checkpoints, {step, 96 * step, "abc", describe_file(weights_path(checkpoints, step), {}),
                               describe_file(state_path(checkpoints, step), {}), {temporary, false}});
    directory.retire_states(2, step);
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

}  // namespace
}  // namespace lawa
