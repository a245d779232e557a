// Saves that go on while their numbers change: the files are those of the moment at which they began.
#include "checkpoint/background_saves.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::HasSubstr;

constexpr int64_t size = 50'001;

class Saves : public testing::Test {
 protected:
  const Communicator comm = Communicator::world();
  const test::TemporaryDirectory folder;
  const ShardLayout layout{size, comm.rank(), comm.size()};
  std::vector<int64_t> done{};  ///< the steps of saves, as they were done

  /// Weights, the same on every rank.
  static std::vector<float> values(int64_t step) { return test::normals(size, static_cast<uint64_t>(step)); }
  Save save_of(int64_t step, const Vector<float>& local, const std::string& name = "weights") {
    Save save;
    save.files.push_back({folder / (name + std::to_string(step)), test::tiny_header(size, step), {{"weights", local}}, [](const FileRecord&) {}});
    save.done = [this, step](double seconds, double worked) {
      EXPECT_GE(seconds, worked);
      EXPECT_GE(worked, 0);
      done.push_back(step);
    };
    return save;
  }
  std::string file(int64_t step, const std::string& name = "weights") const { return read_file(folder / (name + std::to_string(step))); }
  std::string as_written_at_once(int64_t step) const {
    const fs::path path = folder / "at_once.h5";
    write_shards(comm, path, test::tiny_header(size, step), layout, {{"weights", test::shard_of(values(step), layout)}}, {.fsync = false});
    return read_file(path);
  }
  bool parts() const {
    return std::ranges::any_of(fs::directory_iterator(folder.path()), [](const auto& entry) { return entry.path().extension() == ".part"; });
  }
};

TEST_F(Saves, AreOfTheNumbersAtTheirBeginning) {
  const auto local = test::shard_of(values(0), layout);
  BackgroundSaves saves(comm, layout, {.fsync = false}, {});
  for (int64_t step = 1; step <= 5; ++step) {
    copy(local, test::shard_of(values(step), layout));
    saves.begin(save_of(step, local));
    saves.advance(comm.exchange(0, 0, saves.mine()).least);
  }
  fill(Exec(), local, 0.0f);
  saves.finish();
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 3, 4, 5}));
  for (int64_t step = 1; step <= 5; ++step) EXPECT_EQ(file(step), as_written_at_once(step)) << step;
  EXPECT_FALSE(parts());
}

TEST_F(Saves, OfTheSameFileWaitForEachOther) {
  BackgroundSaves saves(comm, layout, {.fsync = false}, {});
  saves.begin(save_of(1, test::shard_of(values(3), layout)));
  saves.begin(save_of(1, test::shard_of(values(1), layout)));
  EXPECT_EQ(done, std::vector<int64_t>{1});
  saves.finish();
  EXPECT_EQ(file(1), as_written_at_once(1));
}

TEST_F(Saves, AreDoneAtOnceWhereNobodyGoesOn) {
  for (const bool through_hdf5 : {false, true}) {
    const auto local = test::shard_of(values(7), layout);
    BackgroundSaves saves(comm, layout, {.fsync = false, .through_hdf5 = through_hdf5}, {.wait = !through_hdf5});
    saves.begin(save_of(7, local));
    EXPECT_EQ(done.back(), 7);
    EXPECT_EQ(file(7), as_written_at_once(7));
  }
}

TEST_F(Saves, NameTheirFilesInOrderBetweenWhatSurroundsThem) {
  std::string order;
  Save save = save_of(1, test::shard_of(values(1), layout));
  save.files.push_back(save_of(2, test::shard_of(values(2), layout)).files[0]);
  save.before_names = [&] { order += "("; };
  save.behind_names = [&] { order += ")"; };
  for (int i = 0; i < 2; ++i)
    save.files[static_cast<size_t>(i)].named = [&, i](const FileRecord& record) {
      EXPECT_TRUE(fs::exists(folder / record.name));
      EXPECT_EQ(fs::exists(folder / "weights2"), i == 1);
      order += std::to_string(i);
    };
  BackgroundSaves saves(comm, layout, {}, {});
  saves.begin(save);
  saves.finish();
  EXPECT_EQ(order, comm.root() ? "(01)" : "");
}

TEST_F(Saves, ThatFailAreTriedAgainWithTheSameNumbers) {
  const auto local = test::shard_of(values(1), layout);
  std::vector<std::string> failed;
  const auto mend = [&](const std::string& error) {
    failed.push_back(error);
    comm.on_root([&] { fs::create_directories(folder / "later"); });
  };
  BackgroundSaves saves(comm, layout, {.fsync = false}, {.tries = 2, .failed = mend});
  saves.begin(save_of(1, local, "later/weights"));  // the folder isn't there
  fill(Exec(), local, 0.0f);
  saves.finish();
  EXPECT_EQ(file(1, "later/weights"), as_written_at_once(1));
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_THAT(failed[0], HasSubstr("later/weights1.part"));

  int calls = 0;  // another way to fail: at the end, and with another save behind it
  Save second = save_of(2, test::shard_of(values(2), layout)), third = save_of(3, test::shard_of(values(3), layout));
  second.files[0].named = [&](const FileRecord&) {
    if (++calls == 1) throw Error("the disk is away for a moment", "here");
  };
  saves.begin(second);
  saves.begin(third);
  saves.finish();
  EXPECT_EQ(calls, comm.root() ? 2 : 0);
  EXPECT_EQ(failed.size(), 2U);
  EXPECT_EQ(done, (std::vector<int64_t>{1, 2, 3}));
  for (const int64_t step : {2, 3}) EXPECT_EQ(file(step), as_written_at_once(step));
}

TEST_F(Saves, ThatFailTooOftenEndInTheirError) {
  int failed = 0;
  {
    BackgroundSaves saves(comm, layout, {.fsync = false}, {.tries = 2, .failed = [&](const std::string&) { ++failed; }});
    Save save = save_of(1, test::shard_of(values(1), layout));
    save.files[0].named = [&](const FileRecord&) { throw Error("the disk is away", "here"); };
    saves.begin(save);
    EXPECT_THAT(error_of([&] { saves.finish(); }), HasSubstr("the disk is away"));
  }
  EXPECT_EQ(failed, 1);
  EXPECT_TRUE(done.empty());
  EXPECT_FALSE(parts());
}

}  // namespace
}  // namespace lawa
