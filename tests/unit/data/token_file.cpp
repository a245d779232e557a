// Token files and the windows that are read from them.
#include "data/token_file.hpp"

#include <gtest/gtest.h>

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

std::vector<uint16_t> counting(int n, int first = 0) {
  std::vector<uint16_t> tokens(static_cast<size_t>(n));
  std::iota(tokens.begin(), tokens.end(), static_cast<uint16_t>(first));
  return tokens;
}
std::vector<uint16_t> copied(std::span<const uint16_t> tokens) { return {tokens.begin(), tokens.end()}; }

TEST(TokenFile, ReadsRawTokensAndShardsAlike) {
  const TemporaryDirectory folder;
  const std::vector<uint16_t> tokens{7, 0, 65535, 256, 1};
  EXPECT_EQ(copied(TokenFile(write_tokens(folder / "raw.bin", tokens)).tokens()), tokens);
  EXPECT_EQ(copied(TokenFile(write_token_shard(folder / "shard.bin", tokens, 5)).tokens()), tokens);
}

TEST(TokenFile, GoesOnAfterAMove) {
  const TemporaryDirectory folder;
  TokenFile first(write_tokens(folder / "raw.bin", counting(9)));
  const TokenFile second(std::move(first));
  EXPECT_EQ(copied(second.tokens()), counting(9));
}

TEST(TokenFile, ErrorsNameTheFile) {
  const TemporaryDirectory folder;
  const auto error = [&](const fs::path& path) { return error_of([&] { TokenFile{path}; }); };
  test::write_bytes<char>(folder / "empty.bin", {});
  test::write_bytes<char>(folder / "odd.bin", {1, 2, 3});
  write_token_shard(folder / "long.bin", counting(6), 5);
  write_token_shard(folder / "short.bin", counting(4), 5);
  write_token_shard(folder / "negative.bin", {}, 0);
  test::write_bytes<int32_t>(folder / "headless.bin", {20240520, 1, 4});
  EXPECT_THAT(error(folder / "nothing.bin"), AllOf(HasSubstr("nothing.bin"), HasSubstr("can't be opened")));
  EXPECT_THAT(error(folder / "empty.bin"), HasSubstr("empty.bin: token file is empty"));
  EXPECT_THAT(error(folder / "odd.bin"), HasSubstr("odd.bin: 3 bytes are not a whole number"));
  EXPECT_THAT(error(folder / "long.bin"), HasSubstr("long.bin: its header promises 5 tokens, but 1036 bytes hold 6"));
  EXPECT_THAT(error(folder / "short.bin"), HasSubstr("short.bin: its header promises 5 tokens, but 1032 bytes hold 4"));
  EXPECT_THAT(error(folder / "negative.bin"), HasSubstr("negative.bin: its header promises 0 tokens"));
  EXPECT_THAT(error(folder / "headless.bin"), HasSubstr("headless.bin: its header promises 4 tokens"));
  EXPECT_THAT(error(folder.path()), HasSubstr("is not a regular file"));
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
    std::vector<std::vector<uint16_t>> expected;
    for (const auto& tokens : files)
      for (int64_t begin = 0; begin + length < std::ssize(tokens); ++begin)
        expected.emplace_back(tokens.begin() + begin, tokens.begin() + begin + length + 1);
    ASSERT_EQ(set.windows(length), std::ssize(expected)) << length;
    for (int64_t i = 0; i < set.windows(length); ++i) EXPECT_EQ(copied(set.window(i, length)), expected[static_cast<size_t>(i)]);
    EXPECT_THROW((void)set.window(set.windows(length), length), Error);
  }
}

TEST_F(TokenSets, ConsecutiveWindowsPredictEachTokenOfAFileOnce) {
  for (const int64_t length : {1, 2, 3, 5}) {
    std::vector<uint16_t> predicted, expected;
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
  EXPECT_THAT(error_of([&] { TokenSet({"/no/such.bin"}, "data.train"); }), HasSubstr("data.train: /no/such.bin doesn't exist"));
  EXPECT_THAT(error_of([&] { (void)set.windows(10); }), AllOf(HasSubstr("data.train (run.toml:4)"), HasSubstr("holds 10 tokens"),
                                                              HasSubstr("takes 11")));
  EXPECT_THAT(error_of([&] { (void)set.consecutive_windows(10); }), HasSubstr("data.train (run.toml:4)"));
  EXPECT_EQ(set.windows(9), 1) << "a whole file is a window";
}

TEST_F(TokenSets, AnIdOverTheVocabularyIsNamedWithItsPlace) {
  EXPECT_NO_THROW((void)set.check_blocks({0, set.blocks()}, 306));
  EXPECT_EQ(error_of([&] { (void)set.check_blocks({0, set.blocks()}, 305); }),
            "data.train (run.toml:4): " + paths[2] + ": token 5 is 305, and model.vocabulary is 305");
  EXPECT_NO_THROW((void)set.check_blocks({0, 2}, 305)) << "the last block is another rank's";
}

TEST_F(TokenSets, DigestsDoNotDependOnHowBlocksAreSharedOut) {
  ASSERT_EQ(set.blocks(), 3);
  const std::string whole = set.check_blocks({0, 3}, 65536);
  EXPECT_EQ(whole.size(), 3 * 32u);
  for (const int64_t ranks : {2, 3, 5}) {
    std::string shared;
    for (int64_t r = 0; r < ranks; ++r) shared += set.check_blocks(split(set.blocks(), r, ranks), 65536);
    EXPECT_EQ(shared, whole) << ranks;
  }
}

TEST_F(TokenSets, DigestsAreOfTheTokensNotOfTheFile) {
  const auto digest = [](const std::string& path) { return TokenSet({path}, "").check_blocks({0, 1}, 65536); };
  EXPECT_EQ(digest(write_token_shard(folder / "shard.bin", files[0], 10)), digest(paths[0]));
  auto other = files[0];
  ++other.back();
  EXPECT_NE(digest(write_tokens(folder / "other.bin", other)), digest(paths[0]));
}

TEST(TokenSet, BlocksOfALongFileAreCheckedToTheLastToken) {
  const TemporaryDirectory folder;
  constexpr int64_t block = int64_t{1} << 25;
  write_tokens(folder / "long.bin", {});
  fs::resize_file(folder / "long.bin", 2 * block);  // zeros, without a page on the disk
  test::write_bytes<uint16_t>(folder / "long.bin", {3, 4, 60'000}, std::ios::app);
  const TokenSet set({(folder / "long.bin").string()}, "data.train");
  ASSERT_EQ(set.blocks(), 2);
  EXPECT_EQ(set.check_blocks({0, 1}, 50'000) + set.check_blocks({1, 2}, 65536), set.check_blocks({0, 2}, 65536));
  EXPECT_THAT(error_of([&] { (void)set.check_blocks({1, 2}, 50'000); }), HasSubstr(concat("token ", block + 2, " is 60000")));
}

}  // namespace
}  // namespace lawa
