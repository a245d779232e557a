// A run that is stopped and started again ends as if nothing had happened, whatever the stop has left behind.
#include <gmock/gmock.h>

#include <functional>
#include <map>

#include "checkpoint/commit_record.hpp"
#include "core/files.hpp"
#include "restart/finished_run.hpp"
#include "support/errors.hpp"
#include "support/token_files.hpp"

namespace lawa::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A copy of a finished run to do harm to.
class Resume : public FinishedRun {
 protected:
  const TrainConfig copy_ = copy();
  const fs::path folder_ = checkpoints_of(copy_);

  /// Expects that the copy went on from `step` after `skipped` damaged checkpoints.
  void expect_resumed(int64_t step, int64_t skipped = 0) const {
    EXPECT_THAT(metrics(copy_, "resume", "step"), ElementsAre(step));
    EXPECT_THAT(metrics(copy_, "resume", "skipped"), ElementsAre(skipped));
    EXPECT_THAT(metrics(copy_, "resume", "ranks"), ElementsAre(comm_.size()));
  }
};

class ResumeFromStep : public Resume, public testing::WithParamInterface<int64_t> {};

TEST_P(ResumeFromStep, TheRestIsTheSameBitForBit) {
  cut_back(comm_, copy_, GetParam());
  run(comm_, copy_);
  expect_resumed(GetParam());
  expect_same_run(copy_, finished_);
}
INSTANTIATE_TEST_SUITE_P(Steps, ResumeFromStep, testing::Values(5, 10, 15), testing::PrintToStringParamName());

TEST_F(Resume, HappensAsOftenAsNeeded) {
  for (const int64_t step : {15, 10, 15}) {
    cut_back(comm_, copy_, step);
    run(comm_, copy_);
  }
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, FilesWithoutTheirRecordAreNoCheckpoint) {
  comm_.on_root([&] {
    for (const int64_t step : {15, 20}) fs::remove(record_path(folder_, step));
  });
  run(comm_, copy_);
  expect_resumed(10);
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, WeightsWithoutStateAreNotGoneOnFrom) {
  cut_back(comm_, copy_, 15);
  comm_.on_root([&] {
    CommitRecord record = read_record(record_path(folder_, 15));
    fs::remove(folder_ / record.state->name);
    record.state.reset();
    write_record(folder_, record);
  });
  run(comm_, copy_);
  expect_resumed(10);
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, PartsOfFilesAreRemoved) {
  cut_back(comm_, copy_, 10);
  const std::vector<fs::path> parts = {part_of(weights_path(folder_, 15)), part_of(state_path(folder_, 12)),
                                       part_of(record_path(folder_, 15))};
  comm_.on_root([&] {
    for (const fs::path& part : parts) write_bytes(part, std::vector{1, 2, 3});
  });
  run(comm_, copy_);
  for (const fs::path& part : parts) EXPECT_FALSE(fs::exists(part)) << part;
  expect_resumed(10);
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, WithoutAnyCheckpointTheRunBeginsAgain) {
  cut_back(comm_, copy_, 0);
  run(comm_, copy_);
  EXPECT_THAT(metrics(copy_, "resume"), IsEmpty());
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, FinishedRunsAreLeftAlone) {
  const auto contents = [&] {
    std::map<fs::path, std::pair<fs::file_time_type, uintmax_t>> files;
    for (const auto& entry : fs::recursive_directory_iterator(copy_.run.directory))
      if (entry.is_regular_file() && entry.path().filename() != "run.lock")  // who holds it stands in it
        files[entry.path()] = {entry.last_write_time(), entry.file_size()};
    return files;
  };
  const auto before = contents();
  run(comm_, copy_);
  EXPECT_EQ(contents(), before);
}

// ---- damage ----------------------------------------------------------------------------------------------------------------

void flip_bit(const fs::path& path, int64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const int byte = file.get();
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 1));
  file.flush();
  LAWA_CHECK(file, path.string(), ": no bit to flip at byte ", offset);
}
void cut_short(const fs::path& path) { fs::resize_file(path, fs::file_size(path) - 1); }
void garble_record(const fs::path& folder, int64_t step) { write_file(record_path(folder, step), "{\"step\": "); }
void replace(const fs::path& file, const fs::path& with) { fs::copy_file(with, file, fs::copy_options::overwrite_existing); }

struct Damage {
  const char* name;
  std::function<void(const fs::path& folder, int64_t step)> harm;
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class ResumePastDamage : public Resume, public testing::WithParamInterface<Damage> {};

TEST_P(ResumePastDamage, TheCheckpointBeforeIsTaken) {
  cut_back(comm_, copy_, 15);
  comm_.on_root([&] { GetParam().harm(folder_, 15); });
  run(comm_, copy_);
  expect_resumed(10, 1);
  expect_same_run(copy_, finished_);
}

/// Flips a bit in the middle of an array.
void flip_bit(const fs::path& folder, const FileRecord& file, const std::string& array) {
  const Range bytes = file.arrays.at(array);
  flip_bit(folder / file.name, bytes.begin + bytes.size() / 2);
}
CommitRecord record_of(const fs::path& folder, int64_t step) { return read_record(record_path(folder, step)); }

const Damage damages[] = {
    {"BitOfAWeight", [](const fs::path& folder, int64_t step) { flip_bit(folder, record_of(folder, step).weights, "weights"); }},
    {"BitOfAMoment", [](const fs::path& folder, int64_t step) { flip_bit(folder, *record_of(folder, step).state, "v"); }},
    {"BitOfTheWeightsMetadata", [](const fs::path& folder, int64_t step) { flip_bit(weights_path(folder, step), 100); }},
    {"BitOfTheStatesMetadata", [](const fs::path& folder, int64_t step) { flip_bit(state_path(folder, step), 100); }},
    {"WeightsCutShort", [](const fs::path& folder, int64_t step) { cut_short(weights_path(folder, step)); }},
    {"StateCutShort", [](const fs::path& folder, int64_t step) { cut_short(state_path(folder, step)); }},
    {"WeightsMissing", [](const fs::path& folder, int64_t step) { fs::remove(weights_path(folder, step)); }},
    {"StateMissing", [](const fs::path& folder, int64_t step) { fs::remove(state_path(folder, step)); }},
    {"StateOfStepFive", [](const fs::path& folder, int64_t step) { replace(state_path(folder, step), state_path(folder, 5)); }},
    {"RecordGarbled", garble_record},
};
INSTANTIATE_TEST_SUITE_P(Kinds, ResumePastDamage, testing::ValuesIn(damages), [](const auto& test) { return test.param.name; });

TEST_F(Resume, SeveralDamagedCheckpointsArePassedOver) {
  comm_.on_root([&] {
    for (const int64_t step : {10, 15, 20}) garble_record(folder_, step);
  });
  run(comm_, copy_);
  expect_resumed(5, 3);
  expect_same_run(copy_, finished_);
}

TEST_F(Resume, DamagedCheckpointsBehindDoNoHarm) {
  cut_back(comm_, copy_, 15);
  comm_.on_root([&] { garble_record(folder_, 5); });
  run(comm_, copy_);
  expect_resumed(15);
  EXPECT_EQ(weights_digest(copy_, 20), weights_digest(finished_, 20));
}

/// A folder where a file should go: the run ends with an error when it has trained as far as that.
void block(const fs::path& path) {
  fs::remove(path);
  fs::create_directories(path / "in the way");
}

TEST_F(Resume, DamagedCheckpointsAheadDontCrowdOutNewOnes) {
  TrainConfig config = copy_;
  config.checkpoint.state_steps = config.checkpoint.keep_states = 1;
  comm_.on_root([&] {
    cut_short(weights_path(folder_, 20));
    block(weights_path(folder_, 18));
  });
  EXPECT_THAT(error_of([&] { run(comm_, config); }), HasSubstr("step_00000018.weights.h5"));
  comm_.on_root([&] { fs::remove_all(weights_path(folder_, 18)); });
  run(comm_, config);
  EXPECT_THAT(metrics(copy_, "resume", "step"), ElementsAre(15, 17));
  EXPECT_EQ(weights_digest(copy_, 20), weights_digest(finished_, 20));
}

TEST_F(Resume, WithNothingWholeItSaysSo) {
  cut_back(comm_, copy_, 10);
  comm_.on_root([&] {
    for (const int64_t step : {5, 10}) cut_short(state_path(folder_, step));
  });
  EXPECT_THAT(error_of([&] { run(comm_, copy_); }), HasSubstr("no checkpoint that a run can go on from is whole (2 damaged)"));
}

}  // namespace
}  // namespace lawa::test
