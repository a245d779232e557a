// What files are, by how they begin.
#include "core/file_kind.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/philox.hpp"

namespace lawa {
namespace {

using namespace std::string_literals;

FileKind kind(const std::string& content) { return file_kind(std::as_bytes(std::span(content)), static_cast<int64_t>(content.size())); }

TEST(FileKinds, AreKnownByTheirSignatures) {
  const std::pair<std::string, const char*> files[] = {
      {"\x93NUMPY\x01\x00"s, "a NumPy array (.npy)"},
      {"PK\x03\x04rest"s, "a zip archive, as torch.save and numpy.savez write them"},
      {"\x80\x04\x95\x04\0\0\0\0\0\0\0rest"s, "a Python pickle"},
      {"\x1f\x8b\x08rest"s, "a gzip archive"},
      {"\xfd"s + "7zXZ\0rest"s, "an xz archive"},
      {"\x28\xb5\x2f\xfdrest"s, "a zstd archive"},
      {"BZh91AY&SYrest"s, "a bzip2 archive"},
      {"\x89HDF\r\n\x1a\nrest"s, "an HDF5 file"},
      {"PAR1rest"s, "a Parquet table"},
      {"MMIDIDX\0\0rest"s, "Megatron's index of a token file"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"s, "a Git LFS pointer"},
      {"\x0e\0\0\0\0\0\0\0{\"__metadata__\"}    "s, "a safetensors file"},
      {std::string(257, '\0') + "ustar"s, "a tar archive"},
      {"<!DOCTYPE html><html>"s, "a web page, not what was to be downloaded"},
      {"{\"weight_map\": {}}"s, "an index of a model's shards (JSON)"},
      {"{\"text\": \"a row\"}\n"s, "JSON text"},
      {"15496 995 11\n"s, "numbers written as text"},
      {"\xff\xfeT\0e\0x\0t\0"s, "text in UTF-16"},
  };
  for (const auto& [content, name] : files) EXPECT_EQ(kind(content).name, name);
}

TEST(FileKinds, TextIsTextInEveryEncodingAndCutAnywhere) {
  const std::string german = "Übergrößen für Ängstliche, naïve Ärzte und œuvres.\r\n\tÜber\f", chinese = "早期的權重平均在高學習率下最為有效。\n";
  std::string latin1, old_cyrillic;
  for (int i = 0; i < 60; ++i) latin1 += "gr\xf6\xdf" "er als, ", old_cyrillic += "\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0\n";
  for (const std::string& text : {"plain"s, german, chinese, "\xef\xbb\xbf" + german, latin1, old_cyrillic}) EXPECT_EQ(kind(text).name, "text") << text;
  for (size_t end = 1; end < chinese.size(); ++end) EXPECT_EQ(kind(chinese.substr(0, end)).name, "text") << end;
}

/// Ids of small and large vocabularies, as a text has them and as chance has them.
TEST(FileKinds, TokensAreNoneOfThem) {
  for (const uint64_t vocabulary : {65u, 256u, 1000u, 8192u, 32000u, 50257u, 65536u})
    for (const size_t count : {20u, 1000u, 32768u}) {
      std::vector<uint16_t> tokens(count);
      for (size_t i = 0; i < count; ++i) tokens[i] = static_cast<uint16_t>(random_bits(count, RandomStream::test, i) % vocabulary);
      EXPECT_EQ(file_kind(std::as_bytes(std::span(tokens)), static_cast<int64_t>(2 * count)).name, "") << vocabulary << " " << count;
    }
  EXPECT_EQ(kind(std::string(4096, '\0')).name, "");
}

}  // namespace
}  // namespace lawa
