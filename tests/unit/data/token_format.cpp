// Which files are taken for tokens, and what is said of the others.
#include "data/token_format.hpp"

#include "core/file_kind.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "core/philox.hpp"
#include "support/errors.hpp"

namespace lawa {
namespace {

using namespace std::string_literals;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
TokenFormat format(const std::string& content, const TokenMeta& meta = {}) {
  const auto beginning = std::as_bytes(std::span(content)).first(std::min(content.size(), file_kind_bytes));
  return token_format(beginning, static_cast<int64_t>(content.size()), meta, "t.bin");
}
std::string error(const std::string& content, const TokenMeta& meta = {}) {
  return error_of([&] { format(content, meta); });
}
/// An llm.c file: magic, version, count, zeros up to 1 kB, and then so many bytes.
std::string llmc(int32_t magic, int32_t version, int32_t count, size_t bytes) {
  std::vector<int32_t> header(256);
  header[0] = magic, header[1] = version, header[2] = count;
  return bytes_of(header) + std::string(bytes, '\7');
}
/// Ids as texts have them: small ones are frequent.
template <class T>
std::vector<T> ids(size_t count, uint64_t vocabulary) {
  std::vector<T> tokens(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t draw = random_bits(7, RandomStream::test, i), below = 1 + draw % vocabulary;
    tokens[i] = static_cast<T>((draw >> 32) % below);
  }
  return tokens;
}

TEST(TokenFormats, OfShardsStandInTheirHeaders) {
  const TokenFormat narrow = format(llmc(20240520, 1, 5, 10)), wide = format(llmc(20240801, 7, 5, 20));
  EXPECT_EQ(std::tuple(narrow.first_byte, narrow.token_bytes, narrow.size), std::tuple(1024, 2, 5));
  EXPECT_EQ(std::tuple(wide.first_byte, wide.token_bytes, wide.size), std::tuple(1024, 4, 5));
}

TEST(TokenFormats, OfOtherFilesOfLlmcAreRefusedByName) {
  EXPECT_THAT(error(llmc(20240326, 3, 1024, 99)), HasSubstr("t.bin: is llm.c's GPT-2 model (magic 20240326), not a token file"));
  EXPECT_THAT(error(llmc(20240328, 2, 50257, 99)), HasSubstr("is llm.c's tokenizer"));
  EXPECT_THAT(error(llmc(20240522, 1, 99, 99)), HasSubstr("is llm.c's multiple-choice questions"));
  EXPECT_THAT(error(llmc(20240520, 2, 5, 10)), AllOf(HasSubstr("magic 20240520 and version 2, and version 1 is read"), HasSubstr("prepare.py")));
  EXPECT_THAT(error(llmc(20240801, 1, 5, 20)), HasSubstr("version 7 is read"));
  EXPECT_THAT(error(llmc(20251109, 2, 5, 20)), HasSubstr("begins like a file of llm.c (magic 20251109, version 2)"));
  EXPECT_THAT(error(llmc(20240801, 7, 5, 18)), HasSubstr("its header promises 5 tokens, but 1042 bytes hold 4"));
  EXPECT_THAT(error(llmc(20240520, 1, -5, 10)), HasSubstr("promises -5 tokens"));
}

TEST(TokenFormats, OtherFilesAreRefusedWithTheRemedy) {
  EXPECT_THAT(error("\x93NUMPY\x01\x00v\x00{'descr': '<u2', }"s), AllOf(HasSubstr("t.bin: is a NumPy array (.npy), not a token file; numpy.load(FILE)")));
  EXPECT_THAT(error("All happy families are alike; each\n"), AllOf(HasSubstr("is text, not a token file; data/prepare.py")));
  EXPECT_THAT(error("version https://git-lfs.github.com/spec/v1\noid"), HasSubstr("is a Git LFS pointer, not a token file; git lfs pull"));
  EXPECT_THAT(error("\x1f\x8b\x08\x08 what is packed"), HasSubstr("is a gzip archive, not a token file; gunzip"));
  EXPECT_THAT(error(""), HasSubstr("token file is empty"));
}

TEST(TokenFormats, TokensOf32And64BitsWithoutAHeaderAreNoticed) {
  for (const uint64_t vocabulary : {65u, 256u, 8192u, 50257u}) {
    for (const size_t count : {8u, 1000u, 100'000u}) {
      EXPECT_THAT(error(bytes_of(ids<uint32_t>(count, vocabulary))), HasSubstr("tokens of 32 bits without a header; a meta.json")) << vocabulary << " " << count;
      EXPECT_THAT(error(bytes_of(ids<int64_t>(count, vocabulary))), HasSubstr("tokens of 64 bits; numpy.fromfile")) << vocabulary << " " << count;
    }
    for (const size_t count : {1u, 3u, 8u, 1000u, 100'000u}) EXPECT_EQ(error(bytes_of(ids<uint16_t>(count, vocabulary))), "no error") << vocabulary << " " << count;
  }
  EXPECT_THAT(error(bytes_of(ids<uint32_t>(1000, 128'256))), HasSubstr("tokens of 32 bits"));
  EXPECT_THAT(error(bytes_of(ids<int64_t>(1000, 128'256))), HasSubstr("tokens of 64 bits"));
  EXPECT_EQ(error(std::string(1000, '\0')), "no error") << "zeros may be anything";
}

TEST(TokenFormats, MetaSaysTheWidthAndContradictionsAreRefused) {
  TokenMeta meta{.path = "meta.json", .token_bytes = 4, .vocabulary = 70000, .tokenizer = "x", .tokens = 100};
  const std::string wide = bytes_of(ids<uint32_t>(100, 70'000));
  EXPECT_EQ(format(wide, meta).size, 100);
  EXPECT_EQ(format(wide, meta).token_bytes, 4);
  EXPECT_THAT(error(wide + "\1\1\1\1", meta), HasSubstr("t.bin: holds 101 tokens, and meta.json says 100; prepare the text again"));
  EXPECT_THAT(error(wide.substr(0, 398), meta), HasSubstr("398 bytes are not a whole number of uint32 tokens"));
  EXPECT_THAT(error(llmc(20240520, 1, 100, 200), meta), HasSubstr("its header says uint16, and meta.json says uint32"));
  meta.token_bytes = 2;
  meta.tokens = 4;
  EXPECT_EQ(format("textlike", meta).size, 4) << "known to be tokens, and looks like text";
}

}  // namespace
}  // namespace lawa
