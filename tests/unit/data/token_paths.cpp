// Folders of shards and patterns.
#include "data/token_paths.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TokenPaths : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;

  void make(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      fs::create_directories((folder / name).parent_path());
      test::write_tokens(folder / name, {1});
    }
  }
  /// Names below the folder.
  std::vector<std::string> names(std::vector<std::string> words, const std::string& key = "data.train") const {
    for (std::string& word : words) word = (folder / word).string();
    std::vector<std::string> found = token_paths(words, key);
    for (std::string& path : found) path = fs::path(path).lexically_relative(folder.path()).string();
    return found;
  }
  std::string error(const std::string& word, const std::string& key = "data.train") const {
    return error_of([&] { names({word}, key); });
  }
};

TEST_F(TokenPaths, OfPatternsAreInNaturalOrder) {
  make({"s/train_10.bin", "s/train_9.bin", "s/train_100.bin", "s/train_1.bin.part", "s/val_1.bin"});
  EXPECT_THAT(names({"s/train_*.bin"}), ElementsAre("s/train_9.bin", "s/train_10.bin", "s/train_100.bin"));
  EXPECT_THAT(names({"s/val_1.bin", "s/train_?.bin*"}), ElementsAre("s/val_1.bin", "s/train_9.bin")) << "not what is being written";
  EXPECT_THAT(names({"s/train_1[0]*.bin"}), ElementsAre("s/train_10.bin", "s/train_100.bin"));
  EXPECT_THAT(names({"*/val*"}), ElementsAre("s/val_1.bin"));
  EXPECT_THAT(error("s/test_*.bin"), AllOf(HasSubstr("data.train: no file fits "), HasSubstr("s/test_*.bin")));
  EXPECT_THAT(names({"s/none.bin"}), ElementsAre("s/none.bin")) << "whoever opens it says that it isn't there";
}

TEST_F(TokenPaths, ThatExistAreNoPatterns) {
  make({"a[1].bin", "a1.bin", "b*/x.bin"});
  EXPECT_THAT(names({"a[1].bin"}), ElementsAre("a[1].bin"));
  EXPECT_THAT(names({"b*"}), ElementsAre("b*/x.bin"));
  EXPECT_FALSE(names_nothing((folder / "a?.bin").string()));
  EXPECT_TRUE(names_nothing((folder / "c?.bin").string()) && names_nothing((folder / "c.bin").string()));
}

TEST_F(TokenPaths, OfFoldersAreTheirShardsForTheKey) {
  make({"web/fineweb_train_000002.bin", "web/fineweb_train_000010.bin", "web/fineweb_val_000000.bin", "web/meta.json"});
  make({"plain/10.bin", "plain/9.bin", "plain/valley.bin", "plain/below/11.bin"});
  make({"only/train.bin"});
  make({"arrays/a.npy", "arrays/b.npy"});
  fs::create_directories(folder / "empty");
  EXPECT_THAT(names({"web"}), ElementsAre("web/fineweb_train_000002.bin", "web/fineweb_train_000010.bin"));
  EXPECT_THAT(names({"web"}, "data.validation (run.toml:3)"), ElementsAre("web/fineweb_val_000000.bin"));
  EXPECT_THAT(names({"plain"}), ElementsAre("plain/9.bin", "plain/10.bin", "plain/valley.bin"));
  EXPECT_THAT(names({"pl*n", "only"}), ElementsAre("plain/9.bin", "plain/10.bin", "plain/valley.bin", "only/train.bin"));
  EXPECT_THAT(error("only", "data.validation"), AllOf(HasSubstr("none of its token files is called val…: train.bin")));
  EXPECT_THAT(error("arrays"), AllOf(HasSubstr("is a folder without token files (*.bin); it holds a.npy, b.npy"), HasSubstr("prepare.py")));
  EXPECT_THAT(error("empty"), HasSubstr("it is empty"));
}

}  // namespace
}  // namespace lawa
