// Averages of files: the same bits from any number of ranks, in any order, in any chunks; and nothing whole after an error.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "average/averager.hpp"
#include "support/errors.hpp"
#include "support/near.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::HasSubstr;

/// Five checkpoints, at steps 10 to 50, of a size with too few blocks for seven ranks.
class AverageFiles : public testing::Test {
 protected:
  const Communicator comm = Communicator::world();
  const test::TemporaryDirectory folder;
  const int64_t size = 20'000;
  const std::vector<fs::path> files = write_files(folder / "run", size, {10, 20, 30, 40, 50});

  std::vector<float> weights_at(int64_t step, int64_t n) const { return test::normals(n, static_cast<uint64_t>(step), 0.02); }
  std::vector<fs::path> write_files(const fs::path& to, int64_t n, const std::vector<int64_t>& steps,
                                    const std::string& trajectory = "t") const {
    comm.on_root([&] { fs::create_directories(to); });
    std::vector<fs::path> written;
    for (const int64_t step : steps) {
      FlatHeader header = test::tiny_header(n, step);
      header.trajectory_hash = trajectory;
      written.push_back(test::write_checkpoint(comm, to, header, weights_at(step, n)));
    }
    return written;
  }

  /// The mean of some members, as a loop over doubles.
  std::vector<float> mean_at(const std::vector<int64_t>& steps, int64_t n) const {
    std::vector<double> sum(static_cast<size_t>(n));
    for (const int64_t step : steps) sum = test::sum_of(sum, weights_at(step, n));
    std::vector<float> mean;
    for (const double x : sum) mean.push_back(static_cast<float>(x / static_cast<double>(steps.size())));
    return mean;
  }

  /// Writes the averages that a config asks for; returns their files.
  std::vector<PlannedFile> averages(const std::vector<fs::path>& from, const AveragingConfig& config, const fs::path& to,
                                    const AveragingOutput& options = {.fsync = false}) const {
    const auto sources = open_sources(comm, from);
    std::vector<int64_t> steps;
    for (const Source& source : sources) steps.push_back(source.step);
    const auto planned = planned_files(config, averaging_plan(config, steps), sources, to);
    totals = write_averages(comm, options, planned, sources, log);
    return planned;
  }
  /// The average of a window that ends at the newest of `from`: its file.
  fs::path average(const std::vector<fs::path>& from, int64_t window, const fs::path& to,
                   const AveragingOutput& options = {.fsync = false}) const {
    return averages(from, {.window = {window}, .at = {50}}, to, options).back().path;
  }

  /// The error that all ranks must get from these averages. Nothing is left of them then but empty folders.
  std::string refused(const std::vector<fs::path>& from, const AveragingConfig& config, const fs::path& to) const {
    const std::string error = error_of([&] { averages(from, config, to); });
    comm.barrier();  // each rank removes its own files
    for (const auto& entry : fs::recursive_directory_iterator(to)) EXPECT_TRUE(entry.is_directory()) << entry.path();
    comm.barrier();
    return error;
  }

  mutable Log log{false};
  mutable AveragingTotals totals;  ///< of the last ones
};

TEST_F(AverageFiles, HoldTheMeanOfTheirMembers) {
  const fs::path path = average(files, 5, folder / "mean");
  EXPECT_TRUE(test::same_bits(test::read_array(path), mean_at({10, 20, 30, 40, 50}, size)));
  const auto some = average(files, 3, folder / "mean of three");
  EXPECT_TRUE(test::same_bits(test::read_array(some), mean_at({30, 40, 50}, size)));
}

TEST_F(AverageFiles, OfModelsSmallerThanABlockAndOfWholeBlocks) {
  for (const int64_t n : {17, 4096, 7 * 4096}) {
    const auto name = std::to_string(n);
    const fs::path path = average(write_files(folder / ("run" + name), n, {10, 20, 50}), 3, folder / name);
    EXPECT_TRUE(test::same_bits(test::read_array(path), mean_at({10, 20, 50}, n))) << n;
  }
}

TEST_F(AverageFiles, DoNotDependOnChunksOrOnTheOrderOfTheirMembers) {
  const std::string expected = read_file(average(files, 5, folder / "whole"));
  const std::string digest = totals.digests[0];
  for (const int64_t memory : {1 << 16, 1 << 18, 1 << 30}) {  // pieces of one block, of two, and all at once
    const fs::path path = average(files, 5, folder / std::to_string(memory), {.fsync = false, .memory_bytes = memory});
    EXPECT_TRUE(read_file(path) == expected) << memory;
    EXPECT_EQ(totals.digests[0], digest) << memory;
  }
  EXPECT_TRUE(read_file(average(files, 5, folder / "durable", {.verify = true, .fsync = true})) == expected);
  EXPECT_TRUE(read_file(average(files, 5, folder / "not verified", {.verify = false, .fsync = false})) == expected);
  const std::vector<fs::path> permuted{files[3], files[0], files[4], files[1], files[2]};
  EXPECT_TRUE(read_file(average(permuted, 5, folder / "permuted")) == expected);
}

TEST_F(AverageFiles, OfOneCheckpointIsThatCheckpoint) {
  const fs::path path = average(files, 1, folder / "one");
  EXPECT_TRUE(test::same_bits(test::read_array(path), weights_at(50, size)));
  EXPECT_EQ(test::digest_of_weights(path), test::digest_of_weights(files[4]));
}

TEST_F(AverageFiles, AreCheckpointsThatSayWhatTheyAreMadeFrom) {
  const fs::path path = average(files, 2, folder / "two");
  const FlatHeader header = read_flat_header(path);
  EXPECT_EQ(header.step, 50);
  EXPECT_EQ(header.trajectory_hash, "t");
  const Json& members = header.provenance.at("average").at("members");
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].at("step"), 40);
  EXPECT_EQ(members[1].at("digest"), test::digest_of_weights(files[4]));
  EXPECT_EQ(weights_files({(folder / "two").string()}), std::vector<fs::path>{path});
  EXPECT_NO_THROW(verify_by_record(path));
  EXPECT_EQ(open_sources(comm, {path, files[0]}).size(), 2u) << "averages can be averaged";
}

TEST_F(AverageFiles, OfTwoRunsOrTwoModelsAreRefused) {
  const fs::path other = write_files(folder / "other run", size, {60}, "u")[0];
  const fs::path larger = write_files(folder / "other model", size + 4, {60})[0];
  EXPECT_THAT(error_of([&] { open_sources(comm, {files[0], other}); }),
              HasSubstr(other.string() + ": is of another run than " + files[0].string()));
  EXPECT_THAT(error_of([&] { open_sources(comm, {files[0], larger}); }), HasSubstr(larger.string() + ": is of another model"));
}

TEST_F(AverageFiles, ADamagedMemberIsNamedAndNothingStaysBehind) {
  const Range weights = read_record(record_path(folder / "run", 30)).weights.arrays.at("weights");
  comm.on_root([&] { test::flip_bit(files[2], weights.end - 1); });  // one rank's block, and every rank's error
  const AveragingConfig one{}, grid{.window = {2, 3}, .stride = {10, 20}};
  for (const AveragingConfig& config : {one, grid})
    EXPECT_THAT(refused(files, config, folder / "damaged"),
                AllOf(HasSubstr(files[2].string() + ": /weights is damaged in block 4"), HasSubstr("ln_f.weight")));
  EXPECT_NO_THROW(average(files, 2, folder / "damaged")) << "an average without that member can be made there";
}

TEST_F(AverageFiles, AMemberDamagedOutsideItsWeightsIsNamedBeforeAnythingIsWritten) {
  comm.on_root([&] { test::flip_bit(files[2], static_cast<int64_t>(fs::file_size(files[2])) - 1); });
  EXPECT_THAT(error_of([&] { average(files, 5, folder / "damaged"); }), HasSubstr(files[2].string() + ": is damaged"));
  EXPECT_FALSE(fs::exists(folder / "damaged"));
}

TEST_F(AverageFiles, ANumberThatIsNotFiniteIsNamedUnlessItIsAllowed) {
  auto values = weights_at(60, size);
  values[12'345] = std::numeric_limits<float>::quiet_NaN();
  FlatHeader header = test::tiny_header(size, 60);
  header.trajectory_hash = "t";
  const fs::path bad = test::write_checkpoint(comm, folder / "run", header, values);
  EXPECT_THAT(refused({files[4], bad}, {.window = {2}}, folder / "bad"),
              HasSubstr(bad.string() + ": wte.weight holds nan (element 12345 of the weights); averaging.allow_nonfinite=true"));
  const auto allowed = averages({files[4], bad}, {.window = {2}}, folder / "allowed", {.fsync = false, .allow_nonfinite = true});
  EXPECT_TRUE(std::isnan(test::read_array(allowed[0].path)[12'345]));
}

TEST_F(AverageFiles, OfAGridAreThoseOfEachWindowAloneAndEveryByteMovesOnce) {
  const auto grid = averages(files, {.window = {2, 3}, .stride = {10, 20}}, folder / "grid");
  EXPECT_EQ(grid.size(), 4u + 3u + 1u);  // of 20 and 40
  EXPECT_EQ(totals.bytes_read, 5 * size * 4);
  EXPECT_EQ(totals.bytes_written, 8 * size * 4);
  EXPECT_EQ(grid[0].path, folder / "grid" / "lawa_k002_nu000010" / "step_00000020.weights.h5");
  EXPECT_EQ(grid.back().path, folder / "grid" / "lawa_k002_nu000020" / "step_00000040.weights.h5");
  for (size_t i = 0; i < grid.size(); ++i) {
    std::vector<int64_t> steps;
    for (const Member& member : grid[i].average.members) steps.push_back(member.step);
    EXPECT_TRUE(test::same_bits(test::read_array(grid[i].path), mean_at(steps, size))) << grid[i].path;
    EXPECT_EQ(test::digest_of_weights(grid[i].path), totals.digests[i]);
    EXPECT_NO_THROW(verify_by_record(grid[i].path));
  }
}

TEST_F(AverageFiles, CanBeMadeAgainFromWhatTheySay) {
  const auto written = averages(files, {.scheme = "linear", .window = {3}}, folder / "linear");
  const Json description = read_flat_header(written[1].path).provenance.at("average");
  const auto rebuilt = [&](const std::vector<fs::path>& from, int64_t memory = 1 << 16) {
    return rebuilt_digest(comm, {.memory_bytes = memory}, description, open_sources(comm, from), "it");
  };
  EXPECT_EQ(rebuilt(files), totals.digests[1]) << "block by block";
  EXPECT_EQ(rebuilt(files, 1 << 30), totals.digests[1]) << "in one piece a rank";
  EXPECT_THAT(error_of([&] { rebuilt({files[0], files[1], files[2]}); }),
              HasSubstr("it: is made from step 40, which isn't among the sources"));
  FlatHeader header = test::tiny_header(size, 30);
  header.trajectory_hash = "t";
  const fs::path other = test::write_checkpoint(comm, folder / "run", header, weights_at(31, size));
  EXPECT_THAT(error_of([&] { rebuilt(files); }), HasSubstr(other.string() + ": isn't the file that it was made from"));
}

TEST_F(AverageFiles, ThatAreThereMayBeLeftIfTheyAreTheSameAndWhole) {
  const fs::path to = folder / "there";
  const AveragingConfig two{.window = {2}, .at = {50}}, three{.window = {3}, .at = {50}};
  const auto sources = open_sources(comm, files);
  const auto missing = [&](const AveragingConfig& config, bool skip_existing) {
    const auto planned = planned_files(config, averaging_plan(config, {10, 20, 30, 40, 50}), sources, to);
    int64_t count = 0;
    comm.on_root([&] { count = std::ssize(missing_files(planned, sources, skip_existing)); });
    return comm.broadcast(count);
  };
  EXPECT_EQ(missing(two, false), 1) << "not there yet";
  const fs::path path = averages(files, two, to)[0].path;
  EXPECT_EQ(missing(two, true), 0);
  EXPECT_THAT(error_of([&] { missing(two, false); }), HasSubstr(path.string() + ": exists; choose another destination"));
  EXPECT_THAT(error_of([&] { missing(three, true); }), HasSubstr(path.string() + ": exists and is another average"));
  const auto last_byte = static_cast<int64_t>(fs::file_size(path)) - 1;
  comm.on_root([&] { test::flip_bit(path, last_byte); });
  EXPECT_THAT(error_of([&] { missing(two, true); }), HasSubstr(path.string() + ": is damaged"));
  comm.on_root([&] { fs::remove(record_path(to, 50)); });
  EXPECT_EQ(missing(two, true), 1) << "killed before it was committed: to be written again";
  EXPECT_THAT(error_of([&] { missing(two, false); }), HasSubstr(path.string() + ": exists"));
  averages(files, two, to);
  EXPECT_NO_THROW(verify_by_record(path)) << "written again over what was there";
}

TEST_F(AverageFiles, OfTheTimeWhenLawaWasCalledSlidingAreReadAsToday) {
  const AveragingConfig two{.window = {2}, .at = {50}};
  const auto sources = open_sources(comm, files);
  const auto planned = averages(files, two, folder / "old");
  FlatHeader header = read_flat_header(planned[0].path);
  const auto values = test::read_array(planned[0].path);
  header.provenance["average"] = {{"scheme", "sliding"}, {"window", 2}, {"stride", 10}, {"members", header.provenance["average"]["members"]}};
  comm.barrier();  // all have read what is written over now
  test::write_checkpoint(comm, folder / "old", header, values);
  comm.on_root([&] { EXPECT_TRUE(missing_files(planned, sources, true).empty()) << "it may be left"; });
  const ExistingAverage found = existing_average(comm, planned[0].path);
  EXPECT_EQ(found.description.at("scheme"), "lawa");
  EXPECT_EQ(rebuilt_digest(comm, {}, found.description, sources, "it"), found.digest);
  EXPECT_EQ(described_average({{"scheme", "sliding"}, {"members", header.provenance["average"]["members"]}}, "it").average.spec.scheme,
            Scheme::lawa);
  EXPECT_THAT(error_of([&] { described_average({{"scheme", "median"}, {"members", Json::array()}}, "it"); }),
              HasSubstr("it: scheme \"median\" is none of: lawa, tumbling"));
}

}  // namespace
}  // namespace lawa
