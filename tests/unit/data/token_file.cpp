// Token files and the windows that are read from them.
#include "data/token_file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using test::write_token_shard;
using test::write_tokens;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<uint16_t> counting(int n, int first = 0) {
  std::vector<uint16_t> tokens(static_cast<size_t>(n));
  std::iota(tokens.begin(), tokens.end(), static_cast<uint16_t>(first));
  return tokens;
}
std::vector<TokenId> ids(const std::vector<uint16_t>& tokens) { return {tokens.begin(), tokens.end()}; }
std::vector<TokenId> all_tokens(const TokenSet& set, size_t i = 0) {
  const TokenFile& file = set.files()[i];
  const auto read = [&]<class T>(std::vector<T> tokens) -> std::vector<TokenId> {
    set.read_bytes(file, 0, std::as_writable_bytes(std::span(tokens)));
    return {tokens.begin(), tokens.end()};
  };
  const auto size = static_cast<size_t>(file.size);
  return file.token_bytes == 2 ? read(std::vector<uint16_t>(size)) : read(std::vector<uint32_t>(size));
}

TEST(TokenFile, ReadsRawTokensAndShardsAlike) {
  const TemporaryDirectory folder;
  const std::vector<uint16_t> tokens{7, 0, 65535, 256, 1};
  const TokenSet set({write_tokens(folder / "raw.bin", tokens), write_token_shard(folder / "shard.bin", tokens, 5)}, "");
  EXPECT_EQ(all_tokens(set, 0), ids(tokens));
  EXPECT_EQ(all_tokens(set, 1), ids(tokens));
}

TEST(TokenFile, ReadsUint32OfShardsAndWhereMetaSaysSo) {
  const TemporaryDirectory folder;
  const std::vector<uint32_t> tokens{7, 0, 65536, 128255, 1};
  test::write_bytes(folder / "raw.bin", tokens);
  std::ofstream(folder / "meta.json") << R"({"dtype": "little-endian uint32", "vocabulary_size": 128256})";
  const TokenSet set({(folder / "raw.bin").string(), write_token_shard(folder / "shard.bin", tokens, 5)}, "");
  for (const size_t i : {0, 1}) {
    EXPECT_EQ(set.files()[i].token_bytes, 4);
    EXPECT_EQ(all_tokens(set, i), tokens);
  }
  EXPECT_EQ(set.window(1, 2), (std::vector<TokenId>{0, 65536, 128255}));
}

TEST(TokenFile, ErrorsNameTheFile) {
  const TemporaryDirectory folder;
  const auto error = [&](const fs::path& path) { return error_of([&] { token_file(path); }); };
  test::write_bytes<char>(folder / "empty.bin", {});
  test::write_bytes<char>(folder / "odd.bin", {1, 2, 3});
  write_token_shard(folder / "long.bin", counting(6), 5);
  write_token_shard(folder / "short.bin", counting(4), 5);
  write_token_shard<uint16_t>(folder / "negative.bin", {}, 0);
  test::write_bytes<int32_t>(folder / "headless.bin", {20240520, 1, 4});
  EXPECT_THAT(error(folder / "nothing.bin"), AllOf(HasSubstr("nothing.bin"), HasSubstr("can't be opened")));
  EXPECT_THAT(error(folder / "empty.bin"), HasSubstr("empty.bin: token file is empty"));
  EXPECT_THAT(error(folder / "odd.bin"), HasSubstr("odd.bin: 3 bytes are not a whole number of uint16 tokens: it is cut"));
  EXPECT_THAT(error(folder / "long.bin"), HasSubstr("long.bin: its header promises 5 tokens, but 1036 bytes hold 6"));
  EXPECT_THAT(error(folder / "short.bin"), HasSubstr("short.bin: its header promises 5 tokens, but 1032 bytes hold 4"));
  EXPECT_THAT(error(folder / "negative.bin"), HasSubstr("negative.bin: its header promises 0 tokens"));
  EXPECT_THAT(error(folder / "headless.bin"), HasSubstr("headless.bin: its header promises 4 tokens"));
  EXPECT_THAT(error(folder.path()), HasSubstr("is a folder, not a file"));
}

/// Three files, of 10, 3 and 6 tokens: 100…109, 200…202, 300…305.
class TokenSets : public testing::Test {
 protected:
  const TemporaryDirectory folder;
  const std::vector<std::vector<uint16_t>> files{counting(10, 100), counting(3, 200), counting(6, 300)};
  const std::vector<std::string> paths{write_tokens(folder / "a.bin", files[0]), write_token_shard(folder / "b.bin", files[1], 3),
                                       write_tokens(folder / "c.bin", files[2])};
  const TokenSet set{paths, "data.train (run.toml:4)"};
};

TEST_F(TokenSets, WindowsBeginEverywhereAndNeverCrossAFile) {
  EXPECT_EQ(set.size(), 19);
  for (const int64_t length : {1, 2, 3, 5}) {
    std::vector<std::vector<TokenId>> expected;
    for (const auto& tokens : files)
      for (int64_t begin = 0; begin + length < std::ssize(tokens); ++begin)
        expected.emplace_back(tokens.begin() + begin, tokens.begin() + begin + length + 1);
    ASSERT_EQ(set.windows(length), std::ssize(expected)) << length;
    for (int64_t i = 0; i < set.windows(length); ++i) EXPECT_EQ(set.window(i, length), expected[static_cast<size_t>(i)]);
    EXPECT_THROW((void)set.window(set.windows(length), length), Error);
  }
}

TEST_F(TokenSets, ConsecutiveWindowsPredictEachTokenOfAFileOnce) {
  for (const int64_t length : {1, 2, 3, 5}) {
    std::vector<TokenId> predicted, expected;
    for (int64_t i = 0; i < set.consecutive_windows(length); ++i) {
      const auto window = set.consecutive_window(i, length);
      ASSERT_EQ(std::ssize(window), length + 1);
      EXPECT_EQ(window.front() + 1, window[1]) << "a window lies in one file";
      predicted.insert(predicted.end(), window.begin() + 1, window.end());
    }
    for (const auto& tokens : files)  // a rest shorter than a window stays unread
      expected.insert(expected.end(), tokens.begin() + 1, tokens.begin() + 1 + (std::ssize(tokens) - 1) / length * length);
    EXPECT_EQ(predicted, expected) << length;
    EXPECT_THROW((void)set.consecutive_window(set.consecutive_windows(length), length), Error);
  }
}

TEST_F(TokenSets, ErrorsNameTheKey) {
  EXPECT_THAT(error_of([&] { TokenSet({}, "data.train"); }), HasSubstr("data.train: names no token file"));
  EXPECT_THAT(error_of([&] { TokenSet({"/no/such.bin"}, "data.train"); }), HasSubstr("data.train: /no/such.bin: can't be opened: No such file"));
  EXPECT_THAT(error_of([&] { (void)set.windows(10); }), AllOf(HasSubstr("data.train (run.toml:4)"), HasSubstr("holds 10 tokens"),
                                                              HasSubstr("takes 11")));
  EXPECT_THAT(error_of([&] { (void)set.consecutive_windows(10); }), HasSubstr("data.train (run.toml:4)"));
  EXPECT_EQ(set.windows(9), 1) << "a whole file is a window";
}

TEST_F(TokenSets, AnIdOverTheVocabularyIsNamedWithItsPlace) {
  const TokenSet smaller(paths, "data.train (run.toml:4)", 305);
  EXPECT_EQ(smaller.window(smaller.windows(1) - 2, 1), (std::vector<TokenId>{303, 304}));
  const std::string error = "data.train (run.toml:4): " + paths[2] + ": token 5 is 305, and model.vocabulary is 305: is it a token file for this model?";
  EXPECT_THAT(error_of([&] { (void)smaller.window(smaller.windows(1) - 1, 1); }), StartsWith(error));
  EXPECT_THAT(error_of([&] { (void)smaller.consecutive_window(smaller.consecutive_windows(1) - 1, 1); }), StartsWith(error));
}

TEST_F(TokenSets, MoreFilesThanMayBeOpenAreReadInTurn) {
  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<std::string> many;
  for (uint16_t i = 0; i < 100; ++i) many.push_back(write_tokens(folder / concat(i, ".bin"), counting(3, i)));
  struct rlimit few = limit;
  few.rlim_max = few.rlim_cur = 64;
  const pid_t child = ::fork();  // which can't take a hard limit back
  if (child == 0) {
    ::setrlimit(RLIMIT_NOFILE, &few);
    const TokenSet set_of_many(many, "data.train");
    bool right = true;
    for (const int i : {0, 99, 1, 98})
      for (int64_t file = i; file < 100; file += 7) right = right && all_tokens(set_of_many, static_cast<size_t>(file)) == ids(counting(3, static_cast<int>(file)));
    ::_exit(right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

/// Of a run's files, some hours later.
TEST_F(TokenSets, FilesThatHaveChangedAreNotReadAnyMore) {
  const auto later = [](const std::string& path) { fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::hours(1)); };
  const auto says = [&](size_t i) {
    return error_of([&] { (void)all_tokens(set, i); });
  };
  write_tokens(paths[0], counting(10, 500));
  later(paths[0]);
  EXPECT_THAT(says(0), AllOf(HasSubstr("data.train (run.toml:4): " + paths[0]), HasSubstr("has been changed while it is used")));
  fs::resize_file(paths[2], 4);
  EXPECT_THAT(says(2), AllOf(HasSubstr(paths[2]), HasSubstr("has been changed")));
  EXPECT_NO_THROW((void)all_tokens(set, 1));
  const TokenSet before({paths[1]}, "");
  EXPECT_EQ(all_tokens(before), ids(files[1]));
  write_token_shard(folder / "new", counting(3, 900), 3);
  fs::rename(folder / "new", paths[1]);
  EXPECT_EQ(all_tokens(before), ids(files[1])) << "replaced, and still open";
  EXPECT_EQ(all_tokens(set, 1), ids(files[1])) << "still open here, too";
}

}  // namespace
}  // namespace lawa
