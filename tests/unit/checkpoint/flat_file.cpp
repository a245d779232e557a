// One flat file on one rank: what it says about itself, and that damage never passes for weights.
#include "checkpoint/flat_file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <sstream>

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
  const PlacedFile file = open_flat_file(path, "weights");
  EXPECT_EQ(file.header.to_json().dump(), test::tiny_header(size, 10).to_json().dump());
  EXPECT_EQ(file.arrays.size(), 1u);
  EXPECT_EQ(file.places("weights").bytes({0, size}), 4 * size);
  EXPECT_EQ(PlacedFile::from_json(file.to_json()).to_json().dump(), file.to_json().dump()) << "as other ranks are told of it";
  EXPECT_FALSE(fs::exists(part_of(path)));
}

TEST_F(FlatFiles, EveryTextSurvivesTheHeader) {
  auto header = test::tiny_header(size, 11);
  header.trajectory_hash = header.git = "";
  header.config = "place = \"é and 😀\"\n" + std::string(100'000, '#');  // longer than an attribute may be
  header.provenance = Json::object();
  const FlatHeader found = read_flat_header(test::write_checkpoint(comm, folder.path(), header, values));
  EXPECT_EQ(found.to_json().dump(), header.to_json().dump());
}

/// Bytes that this process has asked the system for so far.
int64_t bytes_read() {
  std::istringstream lines(read_file("/proc/self/io"));
  std::string word;
  int64_t bytes = 0;
  lines >> word >> bytes;
  return bytes;
}

TEST_F(FlatFiles, ChecksumsAreReadOnceWhenAFileIsOpened) {
  constexpr int64_t many = int64_t{1} << 26, bytes_of_sums = 8 * many / block_size;
  const fs::path large = weights_path(folder.path(), 11);
  const PlacedFile file = lay_out_flat_file(large, test::tiny_header(many, 11), {{"weights"}});
  const FileRecord record = seal_flat_file(file, {{"weights", std::vector<uint64_t>(bytes_of_sums / 8, 7)}}, false);
  const auto read = [&] {
    const int64_t before = bytes_read();
    EXPECT_EQ(open_flat_file(large).digest, digest_of(std::vector<uint64_t>(bytes_of_sums / 8, 7)));
    return bytes_read() - before;
  };
  const int64_t alone = read();
  write_record(folder.path(), {11, 96 * 11, "0123456789abcdef", record, {}}, false);
  const int64_t with_record = read();
  EXPECT_THAT((std::array{alone, with_record}), testing::Each(AllOf(testing::Gt(bytes_of_sums), testing::Lt(3 * bytes_of_sums / 2))));
}

TEST_F(FlatFiles, AnyWholeBlocksCanBeRead) {
  for (const Range range : {Range{0, 4096}, Range{4096, 8192}, Range{8192, size}, Range{4096, size}, Range{4096, 4096}})
    EXPECT_TRUE(test::same_bits(test::read_range(path, range), std::vector<float>(values.begin() + range.begin, values.begin() + range.end)));
}

TEST_F(FlatFiles, ReadsThatDoNotFitAreRefused) {
  for (const Range range : {Range{1, 4097}, Range{0, 4095}, Range{8192, size + 1}, Range{-4096, 0}})
    EXPECT_THAT(error_of([&] { test::read_range(path, range); }), HasSubstr("are not whole blocks of 4096"));
  const PlacedFile file = open_flat_file(path, "weights");
  OpenFiles open(ByteFile::Mode::read);
  std::vector<float> room(5);
  EXPECT_EQ(error_of([&] { PlacedReader(open, path, file.places("weights"), file.header.table).read({0, 4096}, room); }), "room for 5 of 4096 elements");
  EXPECT_THAT(error_of([&] { test::read_range(path, {0, 4096}, "weights", "m"); }), HasSubstr("has no array /m"));
}

TEST_F(FlatFiles, OtherFilesAreRefusedByName) {
  const auto error = [](const fs::path& file, const std::string& kind) { return error_of([&] { open_flat_file(file, kind); }); };
  EXPECT_THAT(error(folder / "nothing.h5", "weights"), HasSubstr("nothing.h5: doesn't exist"));
  EXPECT_THAT(error(path, "state"), AllOf(HasSubstr(path.string()), HasSubstr("is a weights file, not a state file")));
  write_file(folder / "text.h5", "this is no HDF5 file");
  EXPECT_THAT(error(folder / "text.h5", "weights"), HasSubstr("text.h5: "));
  { const h5::Handle foreign(H5Fcreate((folder / "foreign.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose); }
  EXPECT_THAT(error(folder / "foreign.h5", "weights"), HasSubstr("foreign.h5: is HDF5, but not a file of this program"));
}

TEST_F(FlatFiles, DigestsAreOfTheContentsOnly) {
  const auto digest = [](const fs::path& file) { return test::digest_of_weights(file); };
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
  EXPECT_NO_THROW(test::read_range(path, {0, 8192})) << "the other blocks are whole";
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

/// A file that is laid out and may be written.
class LaidOutFiles : public FlatFiles {
 protected:
  PlacedFile laid_out(const std::vector<ArraySpec>& arrays) const { return lay_out_flat_file(folder / "new.h5", test::tiny_header(size, 20), arrays); }
  PlacedWriter writer(const PlacedFile& file, const std::string& array) { return {open_, part_of(file.path), file.places(array)}; }

  OpenFiles open_{ByteFile::Mode::update};
};

TEST_F(LaidOutFiles, RefuseWritesThatDoNotFit) {
  const PlacedFile file = laid_out({{"weights"}});
  PlacedWriter out = writer(file, "weights");
  const std::span<const float> all(values);
  EXPECT_THAT(error_of([&] { out.write({1, 4097}, all.first(4096)); }), HasSubstr("not whole blocks"));
  EXPECT_THAT(error_of([&] { out.write({0, 4096}, all.first(4095)); }), HasSubstr("16380 bytes for 4096"));
  EXPECT_THAT(error_of([&] { writer(file, "m"); }), HasSubstr("has no array /m"));
  const std::vector<double> doubles(4096);
  EXPECT_THAT(error_of([&] { out.write({0, 4096}, std::span(doubles)); }), HasSubstr("holds float32, not float64"));
}

TEST_F(LaidOutFiles, HaveNoNameBeforeTheyAreSealedAndSeeWhatChangesBehindThem) {
  const PlacedFile file = laid_out({{"weights"}});
  PlacedWriter out = writer(file, "weights");
  out.write({0, size}, values);
  EXPECT_TRUE(fs::exists(part_of(file.path)));
  EXPECT_FALSE(fs::exists(file.path));
  EXPECT_NO_THROW(out.verify({0, size}));
  test::flip_bit(part_of(file.path), file.places("weights").segments[0].offset + 4 * 5000);
  EXPECT_THAT(error_of([&] { out.verify({0, size}); }), HasSubstr("what was read back isn't what was written"));
  test::flip_bit(part_of(file.path), file.places("weights").segments[0].offset + 4 * 5000);
  EXPECT_THAT(error_of([&] { seal_flat_file(file, {{"weights", {}}}, false); }), HasSubstr("0 checksums for 10000 numbers"));
  seal_flat_file(file, {{"weights", out.checksums()}}, false);
  EXPECT_FALSE(fs::exists(part_of(file.path)));
  EXPECT_TRUE(test::same_bits(test::read_array(file.path), values));
}

TEST_F(LaidOutFiles, HoldNumbersOfSeveralFormats) {
  std::vector<float> coarse = values;  // bfloat16 keeps the high half of a float
  for (float& x : coarse) x = std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xffff0000u);
  std::vector<double> doubles;
  for (const float x : values) doubles.push_back(1 / static_cast<double>(x));
  const std::string sum = "averages/one/sum";
  const PlacedFile file = laid_out({{"weights", NumberFormat::bfloat16}, {sum, NumberFormat::float64}});
  PlacedWriter weights = writer(file, "weights"), sums = writer(file, sum);
  weights.write({0, size}, coarse);
  sums.write({0, size}, std::span<const double>(doubles));
  const FileRecord record = seal_flat_file(file, {{"weights", weights.checksums()}, {sum, sums.checksums()}}, false);
  EXPECT_EQ(record.arrays.at("weights").size(), 2 * size);
  EXPECT_EQ(record.arrays.at(sum).size(), 8 * size);

  EXPECT_EQ(open_flat_file(file.path).places("weights").format(), NumberFormat::bfloat16);
  EXPECT_TRUE(test::same_bits(test::read_array(file.path), coarse));
  EXPECT_EQ(test::read_range<double>(file.path, {0, size}, "weights", sum), doubles);
  EXPECT_THAT(error_of([&] { test::read_range<float>(file.path, {0, size}, "weights", sum); }), HasSubstr("holds float64"));
  EXPECT_THAT(error_of([&] { test::read_range<double>(file.path, {0, size}); }), HasSubstr("holds bfloat16, not float64"));

  test::flip_bit(file.path, record.arrays.at(sum).begin + 8 * 5000);
  EXPECT_THAT(error_of([&] { test::read_range<double>(file.path, {0, size}, "weights", sum); }), HasSubstr("/averages/one/sum is damaged in block 1"));
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
