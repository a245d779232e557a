#include "core/owner_file.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>

#include "core/error.hpp"
#include "core/files.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::TemporaryDirectory;

void grow_old(const fs::path& path, std::chrono::seconds age) { fs::last_write_time(path, fs::file_time_type::clock::now() - age); }

TEST(Holder, IsNamedByHostProcessAndJob) {
  ::setenv("SLURM_JOB_ID", "88", 1);
  const std::string in_a_job = holder_words();
  ::unsetenv("SLURM_JOB_ID");
  const std::string host = in_a_job.substr(0, in_a_job.find(' '));
  EXPECT_EQ(in_a_job, concat(host, " ", ::getpid(), " 88"));
  EXPECT_EQ(holder_name(in_a_job), concat("pid ", ::getpid(), " on ", host, ", job 88"));
  EXPECT_EQ(holder_name(holder_words()), concat("pid ", ::getpid(), " on ", host));
  for (const char* other : {"", "\n", "4711", "node 4711"}) EXPECT_EQ(holder_name(other), "") << "a lock file of another program";
}

TEST(OwnerFile, IsThereAsLongAsItsOwner) {
  const TemporaryDirectory folder;
  const fs::path path = folder / "run.lock.owner";
  std::string holder;
  {
    const auto owner = OwnerFile::take(path, holder);
    ASSERT_NE(owner, nullptr);
    EXPECT_EQ(read_file(path), holder_words());
    EXPECT_FALSE(owner->lost());
    EXPECT_EQ(OwnerFile::take(path, holder), nullptr);
    EXPECT_EQ(holder, holder_words());
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(OwnerFile, OfADeadOwnerIsTakenOverAfterAMinute) {
  const TemporaryDirectory folder;
  const fs::path path = folder / "run.lock.owner";
  write_file(path, "node17 4711 88", false);
  std::string holder;
  grow_old(path, std::chrono::seconds(50));
  EXPECT_EQ(OwnerFile::take(path, holder), nullptr);
  EXPECT_EQ(holder_name(holder), "pid 4711 on node17, job 88");
  grow_old(path, std::chrono::seconds(61));
  EXPECT_NE(OwnerFile::take(path, holder), nullptr);
}

TEST(OwnerFile, OfAnotherIsLeftAlone) {
  const TemporaryDirectory folder;
  const fs::path path = folder / "run.lock.owner";
  std::string holder;
  auto owner = OwnerFile::take(path, holder);
  write_file(path, "node17 4711 88", false);
  owner.reset();
  EXPECT_EQ(read_file(path), "node17 4711 88");
}

TEST(OwnerFile, ThatCannotBeMadeIsNamed) {
  std::string holder;
  EXPECT_THROW(OwnerFile::take("/proc/run.lock.owner", holder), Error);
}

}  // namespace
}  // namespace lawa
