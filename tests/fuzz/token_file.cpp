// A file of tokens, of any kind, and the meta.json beside it.
#include "data/token_file.hpp"

#include "fuzz/fuzz.hpp"
#include "support/token_files.hpp"

#include "core/files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto files = fuzz::files_of(fuzz::text_of(data, size), 2);
  fuzz::put("meta.json", files[0]);
  if (files[0].empty()) std::filesystem::remove(fuzz::folder() / "meta.json");
  const auto path = fuzz::put("train.bin", files[1]);
  return fuzz::expect_answer([&] {
    const TokenSet tokens({path.string()}, "data.train", 50304);
    tokens.window(tokens.windows(8) - 1, 8);
    tokens.consecutive_window(tokens.consecutive_windows(8) - 1, 8);
    tokens.text_bytes();
  });
}

namespace lawa::fuzz {
namespace {

std::vector<uint16_t> some_tokens(size_t count) {
  std::vector<uint16_t> tokens(count);
  for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<uint16_t>(i * i * 977 % 50257);
  return tokens;
}
std::string meta(const std::string& type, size_t tokens) {
  return R"({"tokenizer": "gpt2", "vocabulary_size": 50257, "dtype": ")" + type + R"(", "files": {"train.bin": {"tokens": )" + std::to_string(tokens) +
         R"(, "bytes": 400}}})";
}
std::string with_meta(const std::string& meta, const std::filesystem::path& tokens) { return meta + between_files + read_file(tokens); }

}  // namespace

std::vector<std::string> valid_inputs() {
  const auto narrow = some_tokens(100);
  const std::vector<uint32_t> wide(narrow.begin(), narrow.end());
  test::write_tokens(folder() / "raw", narrow);
  test::write_bytes(folder() / "raw32", wide);
  test::write_token_shard(folder() / "shard", narrow, 100);
  test::write_token_shard(folder() / "shard32", wide, 100);
  return {with_meta("", folder() / "raw"), with_meta(meta("little-endian uint16", 100), folder() / "raw"), with_meta(meta("uint32", 100), folder() / "raw32"),
          with_meta("", folder() / "shard"), with_meta(meta("<u4", 100), folder() / "shard32")};
}

std::vector<std::string> hostile_inputs() {
  const std::string tokens = read_file(folder() / "raw");
  return {R"({"dtype": )" + nested_lists(100'000) + "}" + between_files + tokens, R"({"vocab_size": )" + nested_lists(100'000) + "}" + between_files + tokens,
          R"({"dtype": ")" + repeated("little-endian ", 10'000) + "\"}" + between_files + tokens, nested_lists(100'000) + between_files + tokens};
}

}  // namespace lawa::fuzz
