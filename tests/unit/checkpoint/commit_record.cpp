// Commit records: which files make up a checkpoint, and which folders hold one.
#include "checkpoint/commit_record.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/files.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using testing::ElementsAre;
using testing::HasSubstr;

FileRecord record_of(const std::string& name) { return {name, 5, {{"m", {0, 2}}, {"v", {3, 4}}}, "0123456789abcdef"}; }
CommitRecord record_at(int64_t step) { return {step, step * 96, "abc", record_of(checkpoint_name(step) + ".weights.h5"), {}}; }

TEST(CommitRecord, SurvivesItsFile) {
  const TemporaryDirectory folder;
  CommitRecord record = record_at(20);
  for (const bool with_state : {true, false}) {
    record.state = with_state ? std::optional(record_of("step_00000020.state.h5")) : std::nullopt;
    write_record(folder.path(), record);
    const CommitRecord again = read_record(folder / "step_00000020.json");
    EXPECT_EQ(again.to_json().dump(), record.to_json().dump());
    EXPECT_EQ(again.state.has_value(), with_state);
    EXPECT_EQ(again.weights.arrays.at("v"), (Range{3, 4}));
  }
}

TEST(CommitRecord, SaysWhatAStopHasLeftOpen) {
  using Temporary = OpenEnds::Temporary;
  const TemporaryDirectory folder;
  CommitRecord record = record_at(20);
  EXPECT_EQ(record.to_json().size(), 5u) << "nothing, as a rule: step, tokens, trajectory, weights and the record's digest";
  for (const Temporary temporary : {Temporary::nothing, Temporary::state, Temporary::checkpoint})
    for (const bool evaluation : {false, true}) {
      record.open = {temporary, evaluation};
      write_record(folder.path(), record);
      const OpenEnds again = read_record(folder / "step_00000020.json").open;
      EXPECT_EQ(again.temporary, temporary);
      EXPECT_EQ(again.evaluation, evaluation);
    }
}

TEST(CommitRecord, AFormerNameOfItsTokensIsRead) {
  const TemporaryDirectory folder;
  Json json = record_at(20).to_json();
  json.erase("record_digest");  // it had none then
  std::string text = json.dump();
  write_file(folder / "step_00000020.json", text.replace(text.find("trained_tokens"), 14, "tokens"));
  EXPECT_EQ(read_record(folder / "step_00000020.json").to_json().dump(), record_at(20).to_json().dump());
}

TEST(CommitRecord, TextsThatAreNoneAreRefusedByName) {
  const TemporaryDirectory folder;
  const std::string whole = record_at(20).to_json().dump();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const std::string& text : {std::string(), std::string("[]"), std::string("null"), whole.substr(0, whole.size() / 2),
                                  with("\"digest\"", "\"other\""), with("\"step\":20", "\"step\":\"x\""), with("[0,2]", "[0]"),
                                  with("\"name\":\"", "\"name\":\"../"), with("\"weights\":{", "\"weight\":{")}) {
    write_file(folder / "step_00000020.json", text);
    EXPECT_THAT(error_of([&] { read_record(folder / "step_00000020.json"); }), HasSubstr("step_00000020.json: ")) << text;
  }
  EXPECT_THAT(error_of([&] { read_record(folder / "nothing.json"); }), HasSubstr("nothing.json"));
}

TEST(CommitRecord, AFlippedBitNeverPassesForAnotherCheckpoint) {
  const TemporaryDirectory folder;
  const fs::path path = folder / "step_00000020.json";
  CommitRecord record = record_at(20);
  record.state = record_of("step_00000020.state.h5");
  write_record(folder.path(), record);
  const std::string whole = read_file(path);
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string text = whole;
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    write_file(path, text, false);
    std::string found;
    if (error_of([&] { found = read_record(path).to_json().dump(); }) != "no error") continue;
    EXPECT_EQ(found, record.to_json().dump()) << "bit " << bit << " of " << text;  // a space became another one, say
  }
}

TEST(CommitRecord, OfAnotherStepOrWithOtherFilesIsRefusedAlsoWithoutADigest) {
  const TemporaryDirectory folder;
  const fs::path path = folder / "step_00000020.json";
  const auto error_with = [&](const std::string& from, const std::string& to) {
    Json json = record_at(20).to_json();
    json.erase("record_digest");
    std::string text = json.dump();
    write_file(path, text.replace(text.find(from), from.size(), to));
    return error_of([&] { read_record(path); });
  };
  EXPECT_EQ(error_with("abc", "abc"), "no error");
  EXPECT_THAT(error_with("\"step\":20", "\"step\":21"), HasSubstr("step_00000020.json: the commit record is damaged: it is of step 21"));
  EXPECT_THAT(error_with("step_00000020.weights", "step_00000010.weights"), HasSubstr("names step_00000010.weights.h5"));
}

TEST(FileRecord, SeesEveryByteOutsideTheArraysAndNoneInside) {
  const TemporaryDirectory folder;
  std::string text = "0123456789";
  write_file(folder / "file", text);
  const FileRecord record = describe_file(folder / "file", {{"b", {5, 7}}, {"a", {1, 3}}});  // in any order
  EXPECT_EQ(record.bytes, 10);
  EXPECT_NO_THROW(verify_file(folder.path(), record));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = 'x';
    write_file(folder / "file", other);
    const bool inside = (i >= 1 && i < 3) || (i >= 5 && i < 7);
    EXPECT_EQ(error_of([&] { verify_file(folder.path(), record); }) == "no error", inside) << "byte " << i;
  }
}

TEST(FileRecord, OtherSizesAndMissingFilesAreNamed) {
  const TemporaryDirectory folder;
  write_file(folder / "file", "0123456789");
  const FileRecord record = describe_file(folder / "file", {});
  write_file(folder / "file", "012345678");
  const auto error = [&] { return error_of([&] { verify_file(folder.path(), record); }); };
  EXPECT_THAT(error(), HasSubstr("file: has 9 bytes, and its commit record says 10 (truncated)"));
  fs::remove(folder / "file");
  EXPECT_THAT(error(), HasSubstr("file: is missing"));
}

TEST(FileRecord, ArraysThatOverlapOrLieOutsideAreRefused) {
  const TemporaryDirectory folder;
  write_file(folder / "file", "0123456789");
  using Arrays = std::map<std::string, Range>;
  for (const Arrays& arrays : {Arrays{{"a", {1, 4}}, {"b", {3, 5}}}, Arrays{{"a", {8, 11}}}, Arrays{{"a", {-1, 2}}},
                               Arrays{{"a", {4, 3}}}})
    EXPECT_THAT(error_of([&] { describe_file(folder / "file", arrays); }), HasSubstr("file: arrays overlap or lie outside"));
}

TEST(RecordedSteps, AreThoseWithARecord) {
  const TemporaryDirectory folder;
  for (const int64_t step : {1000, 30, 7, 1'234'567'890}) write_record(folder.path(), record_at(step));
  for (const char* name : {"step_00000050.weights.h5", "step_00000060.json.part", "step_70.json", "xstep_00000080.json"})
    write_file(folder / name, "{}");
  EXPECT_THAT(recorded_steps(folder.path()), ElementsAre(7, 30, 1000, 1'234'567'890));
  EXPECT_THAT(recorded_steps(folder / "nowhere"), ElementsAre());
}

TEST(WeightsFiles, AreFoundByRunByFolderAndByName) {
  const TemporaryDirectory run;
  const fs::path folder = run / "checkpoints";
  fs::create_directory(folder);
  for (const int64_t step : {20, 10}) write_record(folder, record_at(step));
  const fs::path first = weights_path(folder, 10), second = weights_path(folder, 20);
  EXPECT_THAT(weights_files({run.path().string()}), ElementsAre(first, second));
  EXPECT_THAT(weights_files({folder.string()}), ElementsAre(first, second));
  CommitRecord left = record_at(30);
  left.open.temporary = OpenEnds::Temporary::checkpoint;
  write_record(folder, left);
  EXPECT_THAT(weights_files({folder.string()}), ElementsAre(first, second)) << "averages don't depend on when a run was stopped";
  write_file(run / "lonely.h5", "no record beside it");
  EXPECT_THAT(weights_files({(run / "lonely.h5").string(), folder.string()}), ElementsAre(run / "lonely.h5", first, second));
}

TEST(WeightsFiles, PlacesThatHoldNoneAreRefusedByName) {
  const TemporaryDirectory folder;
  write_file(weights_path(folder.path(), 10), "a killed save leaves weights without a record");
  EXPECT_THAT(error_of([&] { weights_files({(folder / "nowhere").string()}); }), HasSubstr("nowhere: doesn't exist"));
  EXPECT_THAT(error_of([&] { weights_files({folder.path().string()}); }), HasSubstr("holds no checkpoint with a commit record"));
}

TEST(VerifyByRecord, SilentWithoutARecordAndStrictWithOne) {
  const TemporaryDirectory folder;
  const fs::path path = weights_path(folder.path(), 10);
  write_file(path, "0123456789");
  EXPECT_NO_THROW(verify_by_record(path));
  EXPECT_NO_THROW(verify_by_record(folder / "other.h5"));
  write_record(folder.path(), {10, 960, "abc", describe_file(path, {}), {}});
  EXPECT_NO_THROW(verify_by_record(path));
  write_file(path, "0123456788");
  EXPECT_THAT(error_of([&] { verify_by_record(path); }), HasSubstr("step_00000010.weights.h5: is damaged"));
}

}  // namespace
}  // namespace lawa
