// What a file system has room for and how fast it is: bounded, and nothing stays behind.
#include "core/file_system_probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.hpp"
#include "core/timer.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using testing::AllOf;
using testing::HasSubstr;

/// Bytes that this process has given to files so far; 0 where nobody counts them.
int64_t written_bytes() {
  std::ifstream counters("/proc/self/io");
  std::string name;
  for (int64_t value = 0; counters >> name >> value;)
    if (name == "wchar:") return value;
  return 0;
}

TEST(FileSystemProbe, GivesRatesAndLeavesNothing) {
  const TemporaryDirectory folder;
  const int64_t before = written_bytes();
  const FileSystemRates rates = probe_file_system(folder.path(), {.bytes = int64_t{8} << 20});
  EXPECT_GT(rates.write_bytes_per_second, 0);
  EXPECT_GT(rates.read_bytes_per_second, 0);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  if (before == 0) GTEST_SKIP() << "this system doesn't count a process's bytes";
  EXPECT_NEAR(static_cast<double>(written_bytes() - before), static_cast<double>(rates.bytes), 4096);
}

TEST(FileSystemProbe, KeepsToItsBytesAndSeconds) {
  const TemporaryDirectory folder;
  for (const int64_t most : {int64_t{1} << 16, int64_t{5} << 20}) {
    const FileSystemRates rates = probe_file_system(folder.path(), {.bytes = most});
    EXPECT_GE(rates.bytes, most / 8);
    EXPECT_LE(rates.bytes, most);
  }
  const Stopwatch clock;
  const FileSystemRates rates = probe_file_system(folder.path(), {.bytes = int64_t{1} << 40, .seconds = 0.2});
  EXPECT_LT(clock.seconds(), 3) << "a disk that is busy may stall one piece";
  EXPECT_GT(rates.bytes, 0);
}

TEST(FileSystemProbe, LooksWhereAFolderWillLie) {
  const TemporaryDirectory folder;
  EXPECT_EQ(nearest_folder(folder / "not/yet/there"), folder.path());
  EXPECT_EQ(nearest_folder(folder.path()), folder.path());
  EXPECT_TRUE(fs::equivalent(nearest_folder("nowhere_here/at_all"), "."));
  EXPECT_EQ(free_bytes(folder / "not/yet/there") > 0, fs::space(folder.path()).available > 0);
}

TEST(FileSystemProbe, ErrorsNameTheFolder) {
  const TemporaryDirectory folder;
  write_file(folder / "file", "x");
  EXPECT_THAT(error_of([&] { free_bytes(folder / "file" / "below"); }), AllOf(HasSubstr("file/below"), HasSubstr("is a file")));
  EXPECT_THAT(error_of([&] { probe_file_system(folder / "file"); }), HasSubstr("is a file"));
  EXPECT_THAT(error_of([] { probe_file_system("/proc"); }), HasSubstr("/proc"));
  EXPECT_THAT(error_of([&] { probe_file_system(folder.path(), {.bytes = 100}); }), HasSubstr(folder.path().string()));
}

}  // namespace
}  // namespace lawa
