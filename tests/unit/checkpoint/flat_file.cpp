// One flat file on one rank: what it says about itself, and that damage never passes for weights.
#include "checkpoint/flat_file.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "checkpoint/hdf5.hpp"
#include "support/errors.hpp"
#include "support/near.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

/// A checkpoint of three blocks, the last of them short: step 10 in a folder of its own.
class FlatFiles : public testing::Test {
 protected:
  static constexpr int64_t size = 10'000;
  const Communicator comm = Communicator::world();
  const test::TemporaryDirectory folder;
  const std::vector<float> values = test::normals(size, 1);
  const fs::path path = test::write_checkpoint(comm, folder.path(), test::tiny_header(size, 10), values);

  std::string error_of_reading() const {
    return error_of([&] { test::read_array(path); });
  }
  /// Where /weights lies in the file.
  Range weights_bytes() const { return read_record(record_path(folder.path(), 10)).weights.arrays.at("weights"); }
};

TEST_F(FlatFiles, SayWhatTheyAre) {
  const FlatFileReader reader(path, "weights");
  EXPECT_EQ(reader.header().to_json().dump(), test::tiny_header(size, 10).to_json().dump());
  EXPECT_EQ(reader.arrays(), std::vector<std::string>{"weights"});
  EXPECT_FALSE(fs::exists(part_of(path)));
}

TEST_F(FlatFiles, EveryTextSurvivesTheHeader) {
  auto header = test::tiny_header(size, 11);
  header.trajectory_hash = header.git = "";
  header.config = "place = \"é and 😀\"\n" + std::string(100'000, '#');  // longer than an attribute may be
  header.provenance = Json::object();
  const FlatFileReader reader(test::write_checkpoint(comm, folder.path(), header, values), "weights");
  EXPECT_EQ(reader.header().to_json().dump(), header.to_json().dump());
}

TEST_F(FlatFiles, AnyWholeBlocksCanBeRead) {
  const FlatFileReader reader(path, "weights");
  for (const Range range : {Range{0, 4096}, Range{4096, 8192}, Range{8192, size}, Range{4096, size}, Range{4096, 4096}}) {
    std::vector<float> some(static_cast<size_t>(range.size()), test::not_a_number);
    reader.read("weights", range, some);
    EXPECT_TRUE(test::same_bits(some, std::vector<float>(values.begin() + range.begin, values.begin() + range.end)));
  }
}

TEST_F(FlatFiles, ReadsThatDoNotFitAreRefused) {
  const FlatFileReader reader(path, "weights");
  std::vector<float> room(4096);
  for (const Range range : {Range{1, 4097}, Range{0, 4095}, Range{8192, size + 1}, Range{-4096, 0}}) {
    room.resize(static_cast<size_t>(range.size()));
    EXPECT_THAT(error_of([&] { reader.read("weights", range, room); }), HasSubstr("are not whole blocks of 4096"));
  }
  room.resize(5);
  EXPECT_EQ(error_of([&] { reader.read("weights", {0, 4096}, room); }), "room for 5 of 4096 elements");
  room.resize(4096);
  EXPECT_THAT(error_of([&] { reader.read("m", {0, 4096}, room); }), HasSubstr("has no array /m"));
}

TEST_F(FlatFiles, OtherFilesAreRefusedByName) {
  const auto error = [](const fs::path& file, const std::string& kind) { return error_of([&] { FlatFileReader(file, kind); }); };
  EXPECT_THAT(error(folder / "nothing.h5", "weights"), HasSubstr("nothing.h5: doesn't exist"));
  EXPECT_THAT(error(path, "state"), AllOf(HasSubstr(path.string()), HasSubstr("is a weights file, not a state file")));
  write_file(folder / "text.h5", "this is no HDF5 file");
  EXPECT_THAT(error(folder / "text.h5", "weights"), HasSubstr("text.h5: "));
  { const h5::Handle foreign(H5Fcreate((folder / "foreign.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose); }
  EXPECT_THAT(error(folder / "foreign.h5", "weights"), HasSubstr("foreign.h5: is HDF5, but not a file of this program"));
}

TEST_F(FlatFiles, DigestsAreOfTheContentsOnly) {
  const auto digest = [](const fs::path& file) { return FlatFileReader(file, "weights").digest("weights"); };
  EXPECT_EQ(digest(test::write_checkpoint(comm, folder.path(), test::tiny_header(size, 20), values)), digest(path));
  auto other = values;
  other.back() = std::nextafter(other.back(), 9.0f);
  EXPECT_NE(digest(test::write_checkpoint(comm, folder.path(), test::tiny_header(size, 30), other)), digest(path));
}

TEST_F(FlatFiles, ARepeatedWriteRepeatsTheirBytes) {
  const std::string first = read_file(path);
  test::write_checkpoint(comm, folder.path(), test::tiny_header(size, 10), values);
  EXPECT_TRUE(read_file(path) == first);
}

TEST_F(FlatFiles, ADamagedBlockIsNamedWithItsTensor) {
  test::flip_bit(path, weights_bytes().begin + 9000 * 4);
  EXPECT_THAT(error_of_reading(),
              HasSubstr(path.string() + ": /weights is damaged in block 2, elements from 8192 (ln_f.weight)"));
  std::vector<float> room(8192);
  EXPECT_NO_THROW(FlatFileReader(path, "weights").read("weights", {0, 8192}, room)) << "the other blocks are whole";
}

TEST_F(FlatFiles, CutAnywhereAreRefused) {
  const auto whole = static_cast<int64_t>(fs::file_size(path));
  for (int64_t bytes = whole - 1; bytes >= 0; bytes -= whole / 97) {
    fs::resize_file(path, static_cast<uintmax_t>(bytes));
    EXPECT_THAT(error_of([&] { verify_by_record(path); }), HasSubstr("(truncated)")) << bytes;
    EXPECT_NE(error_of_reading(), "no error") << bytes << " bytes, without its record";
  }
}

TEST_F(FlatFiles, AFlippedBitAnywhereIsFound) {
  const Range weights = weights_bytes();
  int found_by_record = 0, found_by_checksum = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const uint64_t random = random_bits(3, RandomStream::test, i);
    const auto byte = static_cast<int64_t>(random / 8 % fs::file_size(path));
    const int bit = static_cast<int>(random % 8);
    test::flip_bit(path, byte, bit);
    const bool inside = byte >= weights.begin && byte < weights.end;
    const std::string record = error_of([&] { verify_by_record(path); }), reading = inside ? error_of_reading() : "not read";
    EXPECT_EQ(record == "no error", inside) << "byte " << byte << ", bit " << bit << ": " << record;
    EXPECT_NE(reading, "no error") << "byte " << byte << ", bit " << bit;
    ++(inside ? found_by_checksum : found_by_record);
    test::flip_bit(path, byte, bit);
  }
  EXPECT_GT(found_by_record, 20);
  EXPECT_GT(found_by_checksum, 20);
  EXPECT_TRUE(test::same_bits(test::read_array(path), values)) << "whole again";
}

TEST_F(FlatFiles, WritesThatDoNotFitAreRefused) {
  FlatFileWriter writer(comm, folder / "new.h5", test::tiny_header(size, 20), {{"weights"}}, {.fsync = false});
  const std::span<const float> all(values);
  EXPECT_THAT(error_of([&] { writer.write("weights", {1, 4097}, all.first(4096)); }), HasSubstr("not whole blocks"));
  EXPECT_THAT(error_of([&] { writer.write("weights", {0, 4096}, all.first(4095)); }), HasSubstr("16380 bytes for 4096"));
  EXPECT_THAT(error_of([&] { writer.write("m", {0, 4096}, all.first(4096)); }), HasSubstr("without an array m"));
  const std::vector<double> doubles(4096);
  EXPECT_THAT(error_of([&] { writer.write("weights", {0, 4096}, std::span(doubles)); }), HasSubstr("weights holds float32, not float64"));
}

TEST_F(FlatFiles, HaveNoNameBeforeTheyAreWholeAndNothingStaysOfOneThatIsGivenUp) {
  {
    FlatFileWriter writer(comm, folder / "new.h5", test::tiny_header(size, 20), {{"weights"}}, {.fsync = false});
    writer.write("weights", {0, size}, values);
    EXPECT_TRUE(fs::exists(folder / "new.h5.part"));
    EXPECT_FALSE(fs::exists(folder / "new.h5"));
  }
  EXPECT_FALSE(fs::exists(folder / "new.h5.part"));
  EXPECT_FALSE(fs::exists(folder / "new.h5"));
}

TEST_F(FlatFiles, HoldNumbersOfSeveralFormats) {
  std::vector<float> coarse = values;  // bfloat16 keeps the high half of a float
  for (float& x : coarse) x = std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xffff0000u);
  std::vector<double> doubles;
  for (const float x : values) doubles.push_back(1 / static_cast<double>(x));
  const fs::path file = folder / "formats.h5";
  FlatFileWriter writer(comm, file, test::tiny_header(size, 20),
                        {{"weights", NumberFormat::bfloat16}, {"averages/one/sum", NumberFormat::float64}}, {.fsync = false});
  writer.write("weights", {0, size}, coarse);
  writer.write("averages/one/sum", {0, size}, std::span<const double>(doubles));
  const FileRecord record = writer.commit();
  EXPECT_EQ(record.arrays.at("weights").size(), 2 * size);
  EXPECT_EQ(record.arrays.at("averages/one/sum").size(), 8 * size);

  const FlatFileReader reader(file, "weights");
  EXPECT_EQ(reader.arrays(), (std::vector<std::string>{"averages/one/sum", "weights"}));
  EXPECT_EQ(reader.format("weights"), NumberFormat::bfloat16);
  EXPECT_TRUE(test::same_bits(test::read_array(file), coarse));
  std::vector<double> read(doubles.size());
  reader.read("averages/one/sum", {0, size}, std::span(read));
  EXPECT_EQ(read, doubles);
  std::vector<float> floats(doubles.size());
  EXPECT_THAT(error_of([&] { reader.read("averages/one/sum", {0, size}, std::span(floats)); }), HasSubstr("holds float64"));
  EXPECT_THAT(error_of([&] { reader.read("weights", {0, size}, std::span(read)); }), HasSubstr("holds bfloat16, not float64"));

  test::flip_bit(file, record.arrays.at("averages/one/sum").begin + 8 * 5000);
  EXPECT_THAT(error_of([&] { FlatFileReader(file, "weights").read("averages/one/sum", {0, size}, std::span(read)); }),
              HasSubstr("/averages/one/sum is damaged in block 1"));
}

TEST(BlockChecksums, ChangeWithTheirBlockOnly) {
  const auto values = test::normals(2 * block_size + 5, 1);
  const auto checksums = [](std::span<const float> x) { return block_checksums(std::as_bytes(x), NumberFormat::float32); };
  const auto sums = checksums(values);
  ASSERT_EQ(sums.size(), 3u);
  auto other = values;
  other[block_size] = -other[block_size];
  const auto changed = checksums(other);
  EXPECT_EQ(changed[0], sums[0]);
  EXPECT_NE(changed[1], sums[1]);
  EXPECT_EQ(changed[2], sums[2]);
  EXPECT_EQ(checksums(std::span(values).last(5))[0], sums[2]) << "a short block is a block";
}

}  // namespace
}  // namespace lawa
