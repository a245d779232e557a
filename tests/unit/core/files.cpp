// Files that appear whole, and digests of them.
#include "core/files.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "core/hash.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryDirectory;
using testing::AllOf;
using testing::HasSubstr;

const std::string binary("\0one\r\n\xff two\n\0", 13);

TEST(Files, AreReadAsTheyWereWritten) {
  const TemporaryDirectory folder;
  for (const std::string& text : {binary, std::string(), std::string(100'000, 'x')}) {
    write_file(folder / "file", text);
    EXPECT_EQ(read_file(folder / "file"), text);
  }
  EXPECT_FALSE(fs::exists(folder / "file.part"));
}

TEST(Files, AreReplacedInOneStepNotOverwritten) {
  const TemporaryDirectory folder;
  write_file(folder / "file", "the old text");
  fs::create_hard_link(folder / "file", folder / "old");  // keeps the old bytes, unless somebody writes into them
  write_file(folder / "file", "new");
  EXPECT_EQ(read_file(folder / "old"), "the old text");
  EXPECT_EQ(read_file(folder / "file"), "new");
}

TEST(Files, WithoutANameOfTheirOwnYetAreCalledPart) {
  const TemporaryDirectory folder;
  EXPECT_EQ(part_of(folder / "weights.h5"), folder / "weights.h5.part");
  std::ofstream(part_of(folder / "weights.h5")) << binary;
  EXPECT_FALSE(fs::exists(folder / "weights.h5"));
  commit_file(folder / "weights.h5");
  EXPECT_EQ(read_file(folder / "weights.h5"), binary);
  EXPECT_FALSE(fs::exists(part_of(folder / "weights.h5")));
}

TEST(Files, ErrorsNameTheFile) {
  const TemporaryDirectory folder;
  EXPECT_THAT(error_of([&] { read_file(folder / "nothing"); }), AllOf(HasSubstr("nothing"), HasSubstr("can't be opened")));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }), AllOf(HasSubstr(folder.path().string()), HasSubstr("is a folder")));
  EXPECT_THAT(error_of([&] { write_file(folder / "no/file", "x"); }), HasSubstr("no/file.part: can't be created"));
  EXPECT_THAT(error_of([&] { commit_file(folder / "nothing"); }), HasSubstr("nothing.part"));
  fs::create_directory(folder / "taken");
  EXPECT_THAT(error_of([&] { write_file(folder / "taken", "x"); }), HasSubstr("taken: can't be renamed from its .part: "));
  EXPECT_FALSE(fs::exists(part_of(folder / "taken")));
}

TEST(Files, NamesThatAreTooLongAreFoundBeforehand) {
  const TemporaryDirectory folder;
  EXPECT_NO_THROW(check_fits(folder.path(), "a/b/" + std::string(255, 'c')));
  EXPECT_THAT(error_of([&] { check_fits(folder.path(), "a/" + std::string(256, 'c') + "/d"); }), HasSubstr("ccc: File name too long"));
  std::string below = "a";
  while (below.size() < 4096) below += "/" + std::string(99, 'b');
  EXPECT_THAT(error_of([&] { check_fits(folder.path(), below); }), HasSubstr("is too long a name for what goes below it"));
}

TEST(Files, GrowAtTheirEnd) {
  const TemporaryDirectory folder;
  append_to_file(folder / "file", "one\n");
  append_to_file(folder / "file", "two\n");
  EXPECT_EQ(read_file(folder / "file"), "one\ntwo\n");
  EXPECT_THAT(error_of([&] { append_to_file(folder / "no/file", "x"); }), HasSubstr("no/file: can't be created: No such file"));
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// What `xxh64sum -H3` and `xxh128sum` print for these bytes.
TEST(Digests, AgreeWithThePublishedVectorsOfXxh3) {
  EXPECT_EQ(hash64(bytes_of("")), 0x2d06800538d394c2u);
  EXPECT_EQ(hash64(bytes_of("a")), 0xe6c632b61e964e1fu);
  EXPECT_EQ(hash64(bytes_of("abc")), 0x78af5f94892f3950u);
  EXPECT_EQ(hash128(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash128("a"), "a96faf705af16834e6c632b61e964e1f");
  EXPECT_EQ(hash128("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Digests, InPiecesAreTheDigestOfTheWhole) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>(i * i % 251);
  for (const size_t piece : {1u, 7u, 255u, 1024u, 3000u}) {
    Digest digest;
    for (size_t begin = 0; begin < text.size(); begin += piece) digest.add(bytes_of(text.substr(begin, piece)));
    EXPECT_EQ(digest.hex(), hash128(text));
    EXPECT_EQ(digest.hex(), hash128(text)) << "asking changes nothing";
  }
}

TEST(Digests, OfTextsDependOnWhereTheyAreCut) {
  const auto of_texts = [](const std::vector<std::string>& texts) {
    Digest digest;
    for (const std::string& text : texts) digest.add(text);
    return digest.hex();
  };
  EXPECT_NE(of_texts({"ab", "c"}), of_texts({"a", "bc"}));
  EXPECT_NE(of_texts({"abc", ""}), of_texts({"", "abc"}));
  EXPECT_EQ(of_texts({"ab", "c"}), of_texts({"ab", "c"}));
}

TEST(Digests, OfPartsOfAFileAreThoseOfTheirBytes) {
  const TemporaryDirectory folder;
  std::string text(1 << 20, 'x');  // longer than one piece of the reading
  text += binary;
  write_file(folder / "file", text);
  Digest digest;
  add_file_bytes(digest, folder / "file", 1, 1);
  add_file_bytes(digest, folder / "file", 5, text.size());
  EXPECT_EQ(digest.hex(), hash128(text.substr(5)));
  const auto error = [&](const char* name, uint64_t end) {
    return error_of([&] { add_file_bytes(digest, folder / name, 0, end); });
  };
  EXPECT_THAT(error("file", text.size() + 1), HasSubstr("(truncated)"));
  EXPECT_THAT(error("nothing", 1), HasSubstr("nothing: can't be opened"));
}

TEST(ReadFile, OfTheSystemsOwnWhichHaveNoSize) { EXPECT_THAT(read_file("/proc/self/status"), testing::HasSubstr("Pid:")); }

}  // namespace
}  // namespace lawa
