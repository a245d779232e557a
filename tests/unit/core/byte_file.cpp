// Bytes at their places in a file.
#include "core/byte_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "core/files.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using enum ByteFile::Mode;
using test::error_of;
using testing::HasSubstr;

class ByteFiles : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;
  const fs::path path = folder / "bytes";

  static std::string text_at(const ByteFile& file, int64_t offset, size_t bytes) {
    std::string text(bytes, '?');
    file.read(offset, std::as_writable_bytes(std::span(text)));
    return text;
  }
  static void put(const ByteFile& file, int64_t offset, const std::string& text) {
    file.write(offset, std::as_bytes(std::span(text)));
  }
};

TEST_F(ByteFiles, AreReadAtAnyPlace) {
  write_file(path, std::string("0123\0 5678", 10));
  const ByteFile file(path, read);
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(file.size(), 10);
  EXPECT_EQ(text_at(file, 6, 4), "5678");
  EXPECT_EQ(text_at(file, 2, 3), std::string("23\0", 3));
  EXPECT_EQ(text_at(file, 10, 0), "");
}

TEST_F(ByteFiles, AreWrittenAtAnyPlace) {
  write_file(path, "0123456789");
  const ByteFile file(path, update);
  put(file, 7, "ab");
  put(file, 0, "X");
  put(file, 5, "");
  EXPECT_EQ(read_file(path), "X123456ab9") << "the rest is as it was";
  put(file, 12, "end");
  EXPECT_EQ(file.size(), 15);
  EXPECT_EQ(read_file(path), std::string("X123456ab9\0\0end", 15));
}

TEST_F(ByteFiles, AreEmptiedWhenCreated) {
  write_file(path, "the old text");
  const ByteFile file(path, create);
  EXPECT_EQ(file.size(), 0);
  put(file, 0, "new");
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(ByteFile(folder / "another", create).size(), 0);
  EXPECT_TRUE(fs::exists(folder / "another"));
}

TEST_F(ByteFiles, EndWhereTheyEnd) {
  write_file(path, "0123456789");
  const ByteFile file(path, read);
  EXPECT_THAT(error_of([&] { text_at(file, 8, 5); }),
              HasSubstr(path.string() + ": ends at byte 10, and 3 more were expected (truncated)"));
  EXPECT_THAT(error_of([&] { text_at(file, 99, 1); }), HasSubstr("truncated"));
}

TEST_F(ByteFiles, ErrorsNameTheFile) {
  for (const auto mode : {read, update})
    EXPECT_THAT(error_of([&] { ByteFile(path, mode); }), HasSubstr(path.string() + ": can't be opened: No such file"));
  EXPECT_FALSE(fs::exists(path)) << "only create creates";
  EXPECT_THAT(error_of([&] { ByteFile(folder / "no/file", create); }), HasSubstr("no/file: can't be created"));
  const ByteFile file(path, create);
  put(file, 0, "text");
  EXPECT_EQ(text_at(file, 0, 4), "text") << "what is created can be read as well";
  EXPECT_THAT(error_of([&] { put(ByteFile(path, read), 0, "x"); }), HasSubstr(path.string() + ": can't be written"));
}

/// Opening a pipe waits for its other end, and a device may do anything: they are looked at before.
TEST_F(ByteFiles, AreRegularFilesOrLinksToThem) {
  const auto refuses = [&](const fs::path& other, const std::string& kind, std::initializer_list<ByteFile::Mode> modes) {
    for (const auto mode : modes) EXPECT_EQ(error_of([&] { ByteFile(other, mode); }), other.string() + ": is " + kind + ", not a file");
  };
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_symlink("pipe", folder / "link to pipe");
  refuses(folder.path(), "a folder", {read, update, create, append});
  refuses(folder / "pipe", "a pipe", {read, update, create, append});
  refuses(folder / "link to pipe", "a pipe", {read, update, create, append});
  refuses("/dev/zero", "a device", {read, update, create, append});
  write_file(path, "text");
  fs::create_symlink("bytes", folder / "link");
  EXPECT_EQ(text_at(ByteFile(folder / "link", read), 0, 4), "text");
  fs::create_symlink("self", folder / "self");
  EXPECT_THAT(error_of([&] { ByteFile(folder / "self", read); }), HasSubstr("self: can't be opened: Too many levels of symbolic links"));
  EXPECT_THAT(error_of([&] { ByteFile(path / "below", read); }), HasSubstr("below: can't be opened: Not a directory"));
}

TEST_F(ByteFiles, AreStampedAnewByEveryChange) {
  write_file(path, "text");
  const FileStamp before = ByteFile(path, read).stamp();
  EXPECT_EQ(ByteFile(path, read).stamp(), before);
  put(ByteFile(path, update), 0, "T");
  fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::seconds(1));
  const FileStamp after = ByteFile(path, read).stamp();
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_NE(after.modified, before.modified);
  EXPECT_NE(after.changed, before.changed);
  write_file(path, "text");
  EXPECT_NE(ByteFile(path, read).stamp().inode, after.inode);
}

TEST_F(ByteFiles, AFullDiskIsAnError) {
  struct rlimit limit {}, none {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  none.rlim_max = limit.rlim_max;
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const std::string error = error_of([&] { put(ByteFile(path, create), 0, "x"); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  EXPECT_EQ(error, path.string() + ": can't be written: File too large");
}

TEST_F(ByteFiles, StayOpenWhenMoved) {
  ByteFile first(path, create);
  const ByteFile second(std::move(first));
  put(second, 0, "moved");
  EXPECT_EQ(second.path(), path);
  EXPECT_EQ(read_file(path), "moved");
}

TEST_F(ByteFiles, StayOpenAsLongAsThereIsRoomForThem) {
  OpenFiles files(update, 2);
  for (const char* name : {"a", "b", "c", "d"}) write_file(folder / name, name);
  for (const char* name : {"a", "b", "c", "d"}) EXPECT_EQ(text_at(files[folder / name], 0, 1), name);
  for (const char* name : {"a", "b", "c"}) fs::remove(folder / name);
  put(files[folder / "a"], 0, "1");
  EXPECT_EQ(text_at(files[folder / "a"], 0, 1), "1") << "still open";
  EXPECT_EQ(text_at(files[folder / "b"], 0, 1), "b") << "still open";
  EXPECT_EQ(text_at(files[folder / "d"], 0, 1), "d") << "the last one of the others is, too";
  EXPECT_THAT(error_of([&] { files[folder / "c"]; }), HasSubstr("can't be opened"));
  files.close_all();
  EXPECT_THAT(error_of([&] { files[folder / "a"]; }), HasSubstr("can't be opened")) << "closed, and gone";
}

TEST_F(ByteFiles, AdviceChangesNothing) {
  const std::string text(100'000, 'x');
  const ByteFile file(path, create);
  put(file, 0, text);
  file.begin_writing_back(0, file.size());
  make_durable(path);
  file.bring_back(0, file.size());
  EXPECT_EQ(read_file(path), text);
}

}  // namespace
}  // namespace lawa
