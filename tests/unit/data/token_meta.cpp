// meta.json beside token files, and what contradicts it.
#include "data/token_meta.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "data/token_file.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

class TokenMetas : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;

  std::string file(const std::string& below, const std::string& meta, const std::vector<uint16_t>& tokens = {5, 300, 7}) const {
    const fs::path path = folder / below;
    fs::create_directories(path.parent_path());
    if (!meta.empty()) std::ofstream(path.parent_path() / "meta.json") << meta;
    return test::write_tokens(path, tokens);
  }
  TokenMeta read(const std::string& meta) const { return token_meta(file("a/t.bin", meta)); }
  std::string error(const std::string& meta) const {
    return error_of([&] { read(meta); });
  }
};

TEST_F(TokenMetas, AreOfTheFilesThatTheyName) {
  const std::string meta = R"({"dtype": "little-endian uint16", "vocabulary_size": 50257, "tokenizer": "gpt2",
                               "files": {"t.bin": {"tokens": 3, "bytes": 12, "documents": 1}}})";
  const TokenMeta found = read(meta), other = token_meta(folder / "a/other.bin"), none = token_meta(folder / "b/t.bin");
  EXPECT_EQ(found.token_bytes, 2);
  EXPECT_EQ(found.vocabulary, 50257);
  EXPECT_EQ(found.tokenizer, "gpt2");
  EXPECT_EQ(found.tokens, 3);
  EXPECT_EQ(found.bytes, 12);
  EXPECT_TRUE(other.path.empty() && !other.vocabulary && none.path.empty());
  EXPECT_EQ(read(R"({"vocab_size": 9})").vocabulary, 9) << "and of all where they name none";
  EXPECT_EQ(read(R"({"dtype": "uint32"})").token_bytes, 4);
  EXPECT_EQ(read(R"({"dtype": null, "author": "somebody"})").token_bytes, std::nullopt);
}

TEST_F(TokenMetas, ThatAreNotReadAreNamed) {
  for (const char* broken : {" ", "{", "[]", "3", "{\"dtype\": \"uint"})
    EXPECT_THAT(error(broken), AllOf(HasSubstr("a/meta.json: isn't a JSON object"), HasSubstr("remove it")));
  for (const char* type : {"int64", "float32", ">u2", "big-endian uint16", "uint8"})
    EXPECT_THAT(error("{\"dtype\": \"" + std::string(type) + "\"}"), HasSubstr("a/meta.json: dtype is " + std::string(type)));
  EXPECT_THAT(error("{\"dtype\": 16}"), HasSubstr("dtype is 16, and must be a string"));
  EXPECT_THAT(error("{\"vocabulary_size\": \"many\"}"), HasSubstr("vocabulary_size is \"many\""));
  EXPECT_THAT(error("{\"files\": {\"t.bin\": {\"tokens\": -1}}}"), HasSubstr("tokens is -1"));
}

TEST_F(TokenMetas, MustFitEachOtherAndTheModel) {
  const std::string gpt2 = file("a/t.bin", R"({"tokenizer": "gpt2", "vocabulary_size": 50257, "files": {"t.bin": {"tokens": 3, "bytes": 12}}})");
  const std::string bytes = file("b/t.bin", R"({"tokenizer": "bytes", "vocabulary_size": 256})"), unknown = file("c/t.bin", "");
  const std::string small = file("d/t.bin", R"({"tokenizer": "gpt2", "vocabulary_size": 1000})");
  const auto made = [](const std::vector<std::string>& files, int64_t vocabulary = 65536) {
    return error_of([&] { TokenSet(files, "data.train", vocabulary); });
  };
  EXPECT_EQ(made({gpt2, unknown}), "no error");
  EXPECT_THAT(made({gpt2, bytes}), AllOf(HasSubstr("data.train: " + gpt2 + " and " + bytes + " are of different tokenizers"), HasSubstr("--tokenizer")));
  EXPECT_THAT(made({gpt2, small}), HasSubstr("gpt2 with a vocabulary of 50257, and gpt2 with a vocabulary of 1000"));
  EXPECT_THAT(made({gpt2}, 256), HasSubstr("a/meta.json says a vocabulary of 50257 (gpt2), and model.vocabulary is 256"));
  EXPECT_EQ(made({gpt2}, 50304), "no error") << "padded";
  const TokenSet train({gpt2}, "data.train"), validation({bytes}, "data.validation"), other({unknown}, "data.validation");
  EXPECT_THAT(error_of([&] { check_same_tokenizer(train, validation); }), HasSubstr("data.train and data.validation: "));
  EXPECT_NO_THROW(check_same_tokenizer(train, other));
}

TEST_F(TokenMetas, SayHowLongTheTextIs) {
  const std::string a = file("a/t.bin", R"({"files": {"t.bin": {"tokens": 3, "bytes": 12}}})"), b = file("b/t.bin", R"({"files": {"t.bin": {"bytes": 5}}})");
  EXPECT_EQ(TokenSet({a, b}, "").text_bytes(), 17);
  EXPECT_EQ(TokenSet({a, file("c/t.bin", "")}, "").text_bytes(), std::nullopt);
}

}  // namespace
}  // namespace lawa
