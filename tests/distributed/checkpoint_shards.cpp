// Files written by some ranks in some layout and read by others in another: the bytes depend on neither.
#include "checkpoint/shard_file.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"
#include "support/near.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using testing::HasSubstr;

/// The buckets that a size is tried with.
std::vector<std::vector<int64_t>> bucket_ends(int64_t size) { return {{}, {size / 3, size / 2}, {1, 20'000, 30'000}}; }

/// Sizes below a block, of whole blocks only, and neither; blocks enough for all ranks or not.
constexpr int64_t sizes[] = {100, 4096, 10'000, 40'960, 50'001};

class Shards : public testing::Test {
 protected:
  const Communicator comm = Communicator::world();
  const TemporaryDirectory folder;
  const fs::path path = folder / "weights.h5";

  ShardLayout layout(int64_t size, const std::vector<int64_t>& ends = {}) const { return {size, comm.rank(), comm.size(), ends}; }
  FileRecord write(const std::vector<float>& values, const ShardLayout& by, const WriteOptions& options = {.fsync = false}) const {
    return write_shards(comm, path, test::tiny_header(by.size(), 10), by, {{"weights", test::shard_of(values, by)}}, options);
  }
  /// What is said about `path` when it is read as weights of this model.
  std::string error_of_reading(const ParameterTable& table) const {
    const ShardLayout mine = layout(table.size());
    const auto local = zeros<float>("local", mine.local_size());
    return error_of([&] { read_shards(comm, path, "weights", table, mine, {{"weights", local}}); });
  }
  /// The bytes of the same file when one rank owns everything and writes it in one transfer.
  std::string bytes_of_one_writer(const std::vector<float>& values) const {
    const auto size = std::ssize(values);
    comm.on_root([&] {
      const PlacedFile file = lay_out_flat_file(folder / "one_writer.h5", test::tiny_header(size, 10), {{"weights"}});
      OpenFiles open(ByteFile::Mode::update);
      PlacedWriter writer(open, part_of(file.path), file.places("weights"));
      writer.write({0, size}, values);
      seal_flat_file(file, {{"weights", writer.checksums()}}, false);
    });
    return read_file(folder / "one_writer.h5");
  }
};

TEST_F(Shards, FilesDoNotDependOnWhoWroteWhat) {
  for (const int64_t size : sizes) {
    const auto values = test::normals(size, 1);
    const std::string expected = bytes_of_one_writer(values);
    for (const auto& ends : bucket_ends(size))
      for (const bool through_hdf5 : {false, true}) {
        write(values, layout(size, ends), {.fsync = false, .through_hdf5 = through_hdf5});
        EXPECT_TRUE(read_file(path) == expected) << size << " elements, ends " << testing::PrintToString(ends) << (through_hdf5 ? ", by HDF5" : "");
        comm.barrier();  // the next write replaces the file
      }
  }
}

TEST_F(Shards, FilesDoNotDependOnTheSizeOfTransfers) {
  const auto values = test::normals(10'000, 1);
  const std::string expected = bytes_of_one_writer(values);
  for (const int64_t elements : {4096, 8192, 1000, 997}) {
    write(values, layout(10'000), {.fsync = false, .through_hdf5 = true, .transfer_elements = elements});
    EXPECT_TRUE(read_file(path) == expected) << elements;
    comm.barrier();
  }
}

TEST_F(Shards, EveryOtherLayoutReadsThemBack) {
  for (const int64_t size : sizes) {
    const auto values = test::normals(size, 1);
    write(values, layout(size, {size / 2}));
    const PlacedFile file = open_flat_file(path, "weights");
    OpenFiles open(ByteFile::Mode::read);
    PlacedReader reader(open, path, file.places("weights"), file.header.table);
    for (int ranks = 1; ranks <= 5; ++ranks)
      for (int r = 0; r < ranks; ++r)
        for (const auto& ends : bucket_ends(size))
          for (const auto& [range, local] : ShardLayout(size, r, ranks, ends).mine()) {
            std::vector<float> some(static_cast<size_t>(range.size()), test::not_a_number);
            reader.read(range, some);
            EXPECT_TRUE(test::same_bits(some, std::vector<float>(values.begin() + range.begin, values.begin() + range.end)));
          }
    comm.barrier();
  }
}

TEST_F(Shards, ShardsAreReadInPlaceAndTheRestOfTheBufferIsLeftAlone) {
  for (const int64_t size : sizes) {
    const auto values = test::normals(size, 1);
    write(values, layout(size, {size / 2}));
    const ShardLayout mine = layout(size, {size / 3});
    std::vector<float> expected = test::values(test::shard_of(values, mine));
    std::fill(expected.begin() + mine.mine_size(), expected.end(), 7.0f);
    const auto local = zeros<float>("local", mine.local_size());
    fill(Exec(), local, 7.0f);
    const FlatHeader header = read_shards(comm, path, "weights", test::tiny_table(size), mine, {{"weights", local}}).header;
    EXPECT_TRUE(test::same_bits(test::values(local), expected)) << size;
    EXPECT_EQ(header.to_json().dump(), test::tiny_header(size, 10).to_json().dump());
  }
}

TEST_F(Shards, AStateHoldsSeveralArrays) {
  constexpr int64_t size = 10'000;
  const auto m = test::normals(size, 1), v = test::normals(size, 2);
  const ShardLayout mine = layout(size);
  const auto sums = std::vector<double>(v.begin(), v.end());
  for (const bool through_hdf5 : {false, true}) {
    write_shards(comm, path, test::tiny_header(size, 10, "state"), mine,
                 {{"v", test::shard_of(v, mine)}, {"m", test::shard_of(m, mine)}, {"averages/a", test::shard_of(sums, mine)}},
                 {.fsync = false, .through_hdf5 = through_hdf5});
    EXPECT_TRUE(test::same_bits(test::read_array(path, "state", "m"), m));
    EXPECT_TRUE(test::same_bits(test::read_array(path, "state", "v"), v));
    EXPECT_EQ(test::read_range<double>(path, {0, size}, "state", "averages/a"), sums);
    comm.barrier();
  }
}

TEST_F(Shards, RecordsDescribeTheFileOnEveryRank) {
  const FileRecord record = write(test::normals(10'000, 1), layout(10'000));
  EXPECT_EQ(record.name, "weights.h5");
  EXPECT_EQ(record.bytes, static_cast<int64_t>(fs::file_size(path)));
  EXPECT_EQ(record.arrays.at("weights").size(), 10'000 * 4);
  EXPECT_NO_THROW(verify_file(folder.path(), record));
}

TEST_F(Shards, FilesOfAnotherModelAreRefusedByTheNameOfTheTensor) {
  write(test::normals(10'000, 1), layout(10'000));
  EXPECT_THAT(error_of_reading(test::tiny_table(10'004)),
              HasSubstr("weights.h5: is of another model: tensor wte.weight [3,2499] where this model has wte.weight [3,2500]"));
  ParameterTable longer = test::tiny_table(10'000);
  longer.add({.name = "more", .shape = {1}});
  EXPECT_THAT(error_of_reading(longer), HasSubstr("is of another model: 3 tensors where this model has 4"));
}

TEST_F(Shards, DamageThatOneRankSeesIsAnErrorOnAll) {
  constexpr int64_t size = 50'001;
  const FileRecord record = write(test::normals(size, 1), layout(size));
  comm.on_root([&] { test::flip_bit(path, record.arrays.at("weights").end - 1); });
  EXPECT_THAT(error_of_reading(test::tiny_table(size)), HasSubstr("weights.h5: /weights is damaged in block 12"));
}

TEST_F(Shards, AFolderThatDoesNotExistIsAnErrorOnAll) {
  const ShardLayout mine = layout(100);
  const ShardArray weights{"weights", test::shard_of(test::normals(100, 1), mine)};
  const auto write_there = [&] { write_shards(comm, folder / "no/weights.h5", test::tiny_header(100, 1), mine, {weights}); };
  EXPECT_THAT(error_of(write_there), HasSubstr("no/weights.h5.part"));
}

TEST_F(Shards, HeadersAreVerifiedByTheirRecord) {
  const auto file = test::write_checkpoint(comm, folder.path(), test::tiny_header(100, 10), test::normals(100, 1));
  const auto step = [&] { return open_on_root(comm, [&] { return open_flat_file(file); }).header.step; };
  EXPECT_EQ(step(), 10);
  comm.barrier();
  comm.on_root([&] { test::flip_bit(file, static_cast<int64_t>(fs::file_size(file)) - 1); });
  EXPECT_THAT(error_of([&] { step(); }), HasSubstr("is damaged outside its arrays"));
}

}  // namespace
}  // namespace lawa
