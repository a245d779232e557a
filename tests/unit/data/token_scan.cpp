// Digests of tokens and their largest ids, and what is kept of them.
#include "data/token_scan.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <numeric>

#include "core/files.hpp"
#include "core/hash.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::write_token_shard;
using test::write_tokens;

constexpr int64_t block_tokens = int64_t{1} << 25;

class TokenScans : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;

  TokenScans() { ::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1); }
  ~TokenScans() override { ::unsetenv("XDG_CACHE_HOME"); }

  static TokenScan scan(const std::string& path) {
    const TokenSet set({path}, "");
    std::vector<TokenScan> blocks;
    for (int64_t i = 0; i < scan_blocks(set.files()[0]); ++i) blocks.push_back(scan_block(set, set.files()[0], i));
    return scan_of(blocks);
  }
  static std::string digest(const std::vector<std::string>& paths) {
    std::vector<TokenScan> files;
    for (const std::string& path : paths) files.push_back(scan(path));
    return digest_of(files);
  }
  /// Two blocks and a token: zeros without a page on the disk, then these.
  std::string long_file(const std::vector<uint16_t>& last) const {
    const fs::path path = folder / "long.bin";
    write_tokens(path, {});
    fs::resize_file(path, 2 * static_cast<uintmax_t>(2 * block_tokens + 1 - std::ssize(last)));
    test::write_bytes<uint16_t>(path, last, std::ios::app);
    return path.string();
  }
  std::vector<fs::path> kept() const {
    std::vector<fs::path> found;
    if (fs::exists(folder / "cache"))
      for (const auto& entry : fs::recursive_directory_iterator(folder / "cache"))
        if (entry.is_regular_file()) found.push_back(entry.path());
    return found;
  }
};

TEST_F(TokenScans, FindTheLargestIdAndItsFirstPlace) {
  const TokenScan found = scan(write_tokens(folder / "a.bin", {3, 9, 2, 9, 1}));
  EXPECT_EQ(found.largest, 9);
  EXPECT_EQ(found.at, 1);
  const TokenScan zeros = scan(write_tokens(folder / "b.bin", {0, 0}));
  EXPECT_EQ(zeros.largest, 0);
  EXPECT_EQ(zeros.at, 0);
  const TokenScan last = scan(long_file({4, 60'000}));
  EXPECT_EQ(last.largest, 60'000);
  EXPECT_EQ(last.at, 2 * block_tokens);
}

/// The hashes of runs hold it: it stays what it was.
TEST_F(TokenScans, AFilesDigestIsOfItsTokensByBlocks) {
  const std::vector<uint16_t> tokens{3, 9, 2, 9, 1};
  Digest block;
  block.add(std::as_bytes(std::span(tokens)));
  EXPECT_EQ(digest({write_tokens(folder / "raw.bin", tokens)}), hash128(block.hex()));
  EXPECT_EQ(digest({write_token_shard(folder / "shard.bin", tokens, 5)}), hash128(block.hex())) << "not of a header";
  EXPECT_NE(digest({write_tokens(folder / "other.bin", {3, 9, 2, 9, 2})}), hash128(block.hex()));
  const std::vector<uint16_t> zeros(static_cast<size_t>(block_tokens)), last{7};
  Digest full, rest;
  full.add(std::as_bytes(std::span(zeros)));
  rest.add(std::as_bytes(std::span(last)));
  EXPECT_EQ(digest({long_file({7})}), hash128(full.hex() + full.hex() + rest.hex()));
}

TEST_F(TokenScans, OfUint32AreOfTheirBytes) {
  const std::vector<uint32_t> tokens{3, 128'000, 2, 128'000};
  const std::string path = write_token_shard(folder / "wide.bin", tokens, 4);
  EXPECT_EQ(scan(path).largest, 128'000);
  EXPECT_EQ(scan(path).at, 1);
  Digest block;
  block.add(std::as_bytes(std::span(tokens)));
  EXPECT_EQ(digest({path}), hash128(block.hex()));
}

TEST_F(TokenScans, OfSeveralFilesDependOnWhereEachEnds) {
  const auto file = [&](const char* name, const std::vector<uint16_t>& tokens) { return write_tokens(folder / name, tokens); };
  const std::string whole = file("whole", {1, 2, 3, 4, 5, 6});
  const std::string a = file("a", {1, 2, 3}), b = file("b", {4, 5, 6}), c = file("c", {1, 2}), d = file("d", {3, 4, 5, 6});
  const std::array digests{digest({whole}), digest({a, b}), digest({c, d}), digest({b, a}), digest({a, b, b}), digest({a})};
  for (size_t i = 0; i < digests.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_NE(digests[i], digests[j]) << i << " " << j;
  EXPECT_EQ(digest({a, b}), digest({file("e", {1, 2, 3}), b})) << "names don't count";
  const std::string one = file("one", {}), two = file("two", {});  // where blocks end, too: zeros without a page on the disk
  fs::resize_file(one, 2 * static_cast<uintmax_t>(block_tokens));
  fs::resize_file(two, 4 * static_cast<uintmax_t>(block_tokens));
  EXPECT_NE(digest({one, one}), digest({two}));
}

TEST_F(TokenScans, AreKeptUntilTheFileChanges) {
  const std::string path = long_file({5});
  const TokenScan made = scan(path);
  const auto aged = [&](int64_t seconds) {  // as if it had been there for longer
    TokenFile file = token_file(path);
    file.stamp.modified -= seconds * 1'000'000'000, file.stamp.changed -= seconds * 1'000'000'000;
    return file;
  };
  keep_scan(aged(0), made);
  EXPECT_FALSE(kept_scan(aged(0)).has_value()) << "so new that it might change within a tick of the clock";
  keep_scan(aged(5), made);
  ASSERT_TRUE(kept_scan(aged(5)).has_value());
  EXPECT_EQ(kept_scan(aged(5))->to_json(), made.to_json());
  for (int64_t FileStamp::*member : {&FileStamp::bytes, &FileStamp::modified, &FileStamp::changed}) {
    TokenFile other = aged(5);
    ++(other.stamp.*member);
    EXPECT_FALSE(kept_scan(other).has_value());
  }
  TokenFile other = aged(5);
  other.token_bytes = 4;
  EXPECT_FALSE(kept_scan(other).has_value());
  other = aged(5);
  ++other.stamp.inode;
  EXPECT_FALSE(kept_scan(other).has_value());
  fs::copy_file(path, folder / "copy.bin");
  other = aged(5);
  other.path = folder / "copy.bin";
  EXPECT_FALSE(kept_scan(other).has_value());
}

TEST_F(TokenScans, ThatAreDamagedAreNotTrusted) {
  TokenFile file = token_file(long_file({5}));
  file.stamp.modified = file.stamp.changed = 0;
  keep_scan(file, {hash128("a digest"), 5, 2 * block_tokens});
  ASSERT_EQ(kept().size(), 1u);
  const fs::path place = kept()[0];
  const std::string text = read_file(place);
  ASSERT_TRUE(kept_scan(file).has_value());
  for (size_t i = 0; i + 1 < text.size(); i += 3) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    write_file(place, damaged);
    EXPECT_FALSE(kept_scan(file).has_value()) << damaged;
  }
  write_file(place, text.substr(0, text.size() / 2));
  EXPECT_FALSE(kept_scan(file).has_value());
}

TEST_F(TokenScans, AreKeptOnlyWhereItPaysAndCanBe) {
  TokenFile small = token_file(write_tokens(folder / "small.bin", {1, 2})), large = token_file(long_file({5}));
  for (TokenFile* file : {&small, &large}) file->stamp.modified = file->stamp.changed = 0;
  keep_scan(small, {"", 2, 1});
  EXPECT_TRUE(kept().empty());
  write_tokens(folder / "file", {1});
  const std::string home = std::getenv("HOME") != nullptr ? std::getenv("HOME") : "";
  ::setenv("HOME", "", 1);
  for (const std::string& place : {(folder / "file").string(), std::string("not/absolute")}) {
    ::setenv("XDG_CACHE_HOME", place.c_str(), 1);
    EXPECT_NO_THROW(keep_scan(large, {"", 5, 1}));
    EXPECT_FALSE(kept_scan(large).has_value());
  }
  ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace lawa
