// Safetensors headers: what is laid out is read back, and nothing malformed is taken for a file.
#include "interchange/safetensors.hpp"

#include <gtest/gtest.h>

#include <bit>

#include "core/byte_file.hpp"
#include "core/philox.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t huge = int64_t{1} << 40;

/// A tensor as a caller describes it who doesn't know its place yet.
TensorEntry tensor(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape) {
  return {.name = name, .dtype = dtype, .shape = shape, .bytes = {}};
}

std::string eight_bytes(uint64_t length) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(length >> (8 * i) & 0xff);
  return text;
}

class Safetensors : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;
  const fs::path path = folder / "a.safetensors";

  void write(const std::string& bytes) const { test::write_bytes(path, std::vector<char>(bytes.begin(), bytes.end())); }
  /// A file of this header and as many bytes of data.
  void write(const std::string& header, size_t data_bytes) const {
    write(eight_bytes(header.size()) + header + std::string(data_bytes, 'd'));
  }
  std::string error_of_reading() const {
    return error_of([&] { read_safetensors_header(path); });
  }
  std::string error_of_reading(const std::string& header, size_t data_bytes) const {
    write(header, data_bytes);
    return error_of_reading();
  }
};

TEST_F(Safetensors, AreReadAsTheyWereLaidOut) {
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"", "é \"quoted\"\n😀"}};
  const auto [header, text] = lay_out_safetensors({tensor("h.0.weight", "F32", {3, 5}), tensor("empty", "BF16", {4, 0, 7}),
                                                   tensor("scalar", "F64", {}), tensor("mask \"é\"", "BOOL", {3}),
                                                   tensor("", "F16", {2})}, metadata);
  const auto data_bytes = static_cast<size_t>(header.file_bytes) - text.size();
  EXPECT_EQ(data_bytes, 3u * 5 * 4 + 0 + 8 + 3 + 2 * 2);
  write(text + std::string(data_bytes, 'd'));
  const auto read = read_safetensors_header(path);
  EXPECT_EQ(read, header);
  EXPECT_EQ(read.metadata, metadata);
  EXPECT_EQ(read.file_bytes, static_cast<int64_t>(fs::file_size(path)));
  EXPECT_EQ(read.tensors.front().size(), 1) << "the scalar is the widest";
  EXPECT_EQ(read.tensors[2].size(), 0);
  EXPECT_EQ(read.tensors[2].shape, (std::vector<int64_t>{4, 0, 7}));
}

TEST_F(Safetensors, OfNothingAreFilesToo) {
  const auto [header, text] = lay_out_safetensors({}, {});
  write(text);
  EXPECT_EQ(read_safetensors_header(path), header);
  write("{}", 0);
  EXPECT_TRUE(read_safetensors_header(path).tensors.empty());
}

TEST_F(Safetensors, TheirTensorsComeInTheOrderOfTheirPlaces) {
  write(R"({"b":{"shape":[2],"data_offsets":[4,6],"dtype":"U8"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )", 6);
  const auto header = read_safetensors_header(path);
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[1].bytes, (Range{header.file_bytes - 2, header.file_bytes}));
  write(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"empty":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 4);
  EXPECT_EQ(read_safetensors_header(path).tensors.front().name, "empty") << "at its place no other overlaps it";
}

TEST(SafetensorsLayout, IsTheSameBytesEveryTime) {
  const auto [header, text] = lay_out_safetensors({tensor("b", "BF16", {2, 1}), tensor("z", "F32", {2}), tensor("a", "F32", {})},
                                                  {{"k", "v"}, {"A", "B"}});
  const std::string json = R"({"__metadata__":{"A":"B","k":"v"},"z":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                           R"("a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
                           R"("b":{"dtype":"BF16","shape":[2,1],"data_offsets":[12,16]}})";
  const size_t bytes = (8 + json.size() + 63) / 64 * 64;
  EXPECT_EQ(text, eight_bytes(bytes - 8) + json + std::string(bytes - 8 - json.size(), ' '));
  EXPECT_EQ(header.tensors[0].bytes.begin, static_cast<int64_t>(bytes));
}

TEST(SafetensorsLayout, AlignsEveryTensorWithoutHoles) {
  for (size_t name_length = 0; name_length < 70; ++name_length) {  // headers of every length
    const auto [header, text] = lay_out_safetensors({tensor(std::string(name_length, 'n'), "U8", {3}), tensor("x", "F16", {3}),
                                                     tensor("y", "F64", {1}), tensor("w", "I32", {5})}, {});
    EXPECT_EQ(text.size() % 64, 0u);
    auto at = static_cast<int64_t>(text.size());
    for (const int64_t width : {8, 4, 2, 1}) {
      const TensorEntry& entry = header.tensors[static_cast<size_t>(3 - std::countr_zero(static_cast<uint64_t>(width)))];
      EXPECT_EQ(entry.bytes, (Range{at, at + width * entry.size()}));
      EXPECT_EQ(at % width, 0);
      at = entry.bytes.end;
    }
    EXPECT_EQ(at, header.file_bytes);
  }
}

TEST(SafetensorsLayout, IsRefusedForWhatNoFileCanHold) {
  const auto error = [](const std::vector<TensorEntry>& tensors, const std::map<std::string, std::string>& metadata = {}) {
    return error_of([&] { lay_out_safetensors(tensors, metadata); });
  };
  EXPECT_THAT(error({tensor("w", "F32", {1}), tensor("w", "F16", {1})}), HasSubstr("the name \"w\", which is taken"));
  EXPECT_THAT(error({tensor("__metadata__", "F32", {1})}), HasSubstr("\"__metadata__\", which is taken"));
  EXPECT_THAT(error({tensor("w", "F31", {1})}), HasSubstr("tensor \"w\" has an unknown dtype, F31"));
  EXPECT_THAT(error({tensor("w", "F32", {2, -1})}), HasSubstr("tensor \"w\" has a negative extent, -1"));
  EXPECT_THAT(error({tensor("w", "U8", {huge, huge})}), HasSubstr("tensor \"w\" is too large"));
  EXPECT_THAT(error({tensor("v", "U8", {huge << 22}), tensor("w", "U8", {huge << 22})}), HasSubstr("tensor \"w\" is too large"));
  EXPECT_THAT(error({tensor("\xff", "F32", {1})}), HasSubstr("can't be written as JSON"));
  EXPECT_THAT(error({}, {{"k", "\xc3"}}), HasSubstr("can't be written as JSON"));
}

TEST(TensorEntries, SayTheirSizeAndFormat) {
  EXPECT_EQ(tensor("w", "F32", {2, 3, 4}).size(), 24);
  EXPECT_THAT(error_of([] { tensor("w", "F32", {huge, huge}).size(); }), HasSubstr("tensor \"w\" is too large"));
  EXPECT_EQ(tensor("w", "F16", {}).format(), NumberFormat::float16);
  EXPECT_EQ(tensor("w", "BF16", {}).format(), NumberFormat::bfloat16);
  EXPECT_EQ(tensor("w", "F32", {}).format(), NumberFormat::float32);
  EXPECT_EQ(tensor("w", "F64", {}).format(), NumberFormat::float64);
  for (const char* other : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "I16", "U16", "I32", "U32", "I64", "U64", "f32", ""})
    EXPECT_EQ(tensor("w", other, {}).format(), std::nullopt) << other;
}

TEST_F(Safetensors, OfEveryDtypeHaveItsWidth) {
  const std::map<std::string, size_t> widths{{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                                             {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
                                             {"U32", 4},  {"F32", 4}, {"I64", 8}, {"U64", 8},     {"F64", 8}};
  for (const auto& [dtype, width] : widths)
    for (const size_t bytes : {width, width + 1}) {
      const std::string header = concat(R"({"w":{"dtype":")", dtype, R"(","shape":[1],"data_offsets":[0,)", bytes, "]}}");
      const auto error = error_of_reading(header, bytes);
      EXPECT_EQ(error == "no error", bytes == width) << dtype << ": " << error;
    }
}

struct Malformed {
  const char* header;
  const char* message;  ///< a part of it
};

// Each stands before four bytes of data.
const Malformed malformed[] = {
    // no JSON of the format's form
    {"", "its header doesn't begin with {"},
    {" {}", "its header doesn't begin with {"},
    {"[]", "its header doesn't begin with {"},
    {"{", "the header isn't JSON"},
    {"{} {}", "the header isn't JSON"},
    {"{} x", "the header isn't JSON"},
    {"{/**/}", "the header isn't JSON"},
    {R"({"w":})", "the header isn't JSON"},
    {"{\"\xff\":{}}", "the header isn't JSON"},
    {R"({"\ud800":{}})", "the header isn't JSON"},
    {R"({"w":1e999})", "the header isn't JSON"},
    {R"({"w":1})", R"(tensor "w" isn't an object)"},
    {R"({"w":null})", R"(tensor "w" isn't an object)"},
    {R"({"w":[{}]})", R"(tensor "w" isn't an object)"},
    // metadata
    {R"({"__metadata__":"text"})", "__metadata__ isn't an object"},
    {R"({"__metadata__":{"k":1}})", R"(__metadata__: "k" isn't a text)"},
    {R"({"__metadata__":{"k":null}})", R"(__metadata__: "k" isn't a text)"},
    {R"({"__metadata__":{"shape":[1]}})", R"(__metadata__: "shape" isn't a text)"},
    {R"({"__metadata__":{"k":{"l":"m"}}})", R"(__metadata__: "k" isn't a text)"},
    {R"({"__metadata__":{"k":"1","k":"2"}})", R"(__metadata__: "k" stands there twice)"},
    {R"({"__metadata__":{},"__metadata__":{}})", R"("__metadata__" stands there twice)"},
    // an entry's fields
    {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     R"(a.safetensors: "w" stands there twice)"},
    {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"\u0077":{}})", R"(a.safetensors: "w" stands there twice)"},
    {R"({"w":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", R"(tensor "w": "dtype" stands there twice)"},
    {R"({"w":{}})", R"(tensor "w" doesn't have all of dtype, shape and data_offsets)"},
    {R"({"w":{"shape":[1],"data_offsets":[0,4]}})", R"(tensor "w" doesn't have all)"},
    {R"({"w":{"dtype":"F32","data_offsets":[0,4]}})", R"(tensor "w" doesn't have all)"},
    {R"({"w":{"dtype":"F32","shape":[1]}})", R"(tensor "w" doesn't have all)"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", R"(tensor "w" has an unknown field, "more")"},
    {R"({"w":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", R"(tensor "w": "dtype" isn't a text)"},
    {R"({"w":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}})", R"(tensor "w": "dtype" isn't a text)"},
    {R"({"w":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", R"(tensor "w" has an unknown dtype, f32)"},
    // shapes
    {R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", R"(tensor "w": 3 numbers of 4 bits aren't whole bytes)"},
    {R"({"__metadata__":null,"w":null})", R"(tensor "w" isn't an object)"},
    {R"({"w":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", R"(tensor "w": "shape" isn't a list of non-negative integers)"},
    {R"({"w":{"dtype":"F32","shape":"1","data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":{},"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", R"("shape" isn't a list of non-negative)"},
    {R"({"w":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", R"("shape" isn't a list of non-negative integers)"},
    {R"({"w":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}})", R"("shape" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}})", R"(tensor "w" is too large)"},
    {R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", R"(tensor "w" is too large)"},  // 2^64: 0
    {R"({"w":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}})", R"(tensor "w" is too large)"},
    {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", R"(tensor "w" has 4 bytes, and its shape and dtype need 8)"},
    {R"({"w":{"dtype":"F32","shape":[0],"data_offsets":[0,4]}})", "need 0"},
    {R"({"w":{"dtype":"F64","shape":[],"data_offsets":[0,4]}})", "need 8"},
    // places
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", R"(tensor "w" has 1 data_offsets, not 2)"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", "has 3 data_offsets, not 2"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":{"0":4}}})", R"("data_offsets" isn't a list)"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", R"("data_offsets" isn't a list of non-negative)"},
    {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", R"(tensor "w" lies at [4, 0) of 4 bytes of data)"},
    {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "lies at [0, 8) of 4 bytes of data (truncated)"},
    {R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775806,9223372036854775807]}})", "of data (truncated)"},
    {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     R"(tensor "w" begins at byte 2 of the data, and those before it end at 0 (a hole))"},
    {R"({"v":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
     R"(tensor "w" begins at byte 2 of the data, and those before it end at 1 (a hole))"},
    {R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[1,4]},"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
     R"(tensor "w" begins at byte 1 of the data, and those before it end at 2 (an overlap))"},
    {R"({"v":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"w":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
     "(an overlap)"},
    {R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "the tensors end at byte 3 of 4 bytes of data"},
    {"{}", "the tensors end at byte 0 of 4 bytes of data"},
};

TEST_F(Safetensors, ThatAreMalformedAreRefusedByName) {
  for (const auto& [header, message] : malformed)
    EXPECT_THAT(error_of_reading(header, 4), AllOf(HasSubstr("a.safetensors: "), HasSubstr(message))) << header;
}

TEST_F(Safetensors, TakeNoMemoryForWhatIsOnlyClaimed) {
  for (const uint64_t length : {uint64_t{1} << 63, ~uint64_t{0}, uint64_t{100'000'001}}) {
    write(eight_bytes(length) + "{}");
    EXPECT_THAT(error_of_reading(), HasSubstr("at most 100000000 are allowed")) << length;
  }
  write(eight_bytes(100'000'000) + "{}");
  EXPECT_THAT(error_of_reading(), HasSubstr("the header has 100000000 bytes and the file 10 (truncated)"));
  write(eight_bytes(100'000'001) + "{}");
  fs::resize_file(path, 200'000'000);  // of zeros that the disk doesn't hold
  EXPECT_THAT(error_of_reading(), HasSubstr("at most 100000000 are allowed"));
  EXPECT_THAT(error_of_reading(R"({"w":)" + std::string(1'000'000, '['), 0), HasSubstr("isn't an object")) << "before the nesting";
}

TEST_F(Safetensors, HaveNoZeroBytesInTheirHeader) {
  EXPECT_THAT(error_of_reading(std::string("{}\0 not padding", 15), 0), HasSubstr("the header has a zero byte"));
  EXPECT_EQ(error_of_reading("{} \n ", 0), "no error");
}

TEST_F(Safetensors, ThatAreNoFilesAreRefusedByName) {
  EXPECT_THAT(error_of_reading(), HasSubstr("a.safetensors: can't be opened"));
  EXPECT_THAT(error_of([&] { read_safetensors_header(folder.path()); }), HasSubstr(folder.path().string() + ": "));
}

/// A small file with something of everything: its header's text (length included) and its whole bytes.
std::pair<std::string, std::string> small_file() {
  const auto [header, text] = lay_out_safetensors({tensor("wte.weight", "F32", {2, 3}), tensor("none", "BF16", {0}),
                                                   tensor("scalar", "F16", {})}, {{"format", "pt"}});
  return {text, text + std::string(static_cast<size_t>(header.file_bytes) - text.size(), 'd')};
}

TEST_F(Safetensors, CutAnywhereOrWithMoreBehindThemAreRefused) {
  const std::string whole = small_file().second;
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write(whole.substr(0, bytes));
    EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("a.safetensors: "), HasSubstr("truncated"))) << bytes;
  }
  write(whole);
  EXPECT_EQ(error_of_reading(), "no error");
  write(whole + "d");
  EXPECT_THAT(error_of_reading(), HasSubstr("bytes of data"));
}

TEST_F(Safetensors, WithAnyByteChangedAreReadOrRefused) {
  const auto [header, whole] = small_file();
  write(whole);
  const ByteFile file(path, ByteFile::Mode::update);
  int read = 0, refused = 0;
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint64_t random = random_bits(7, RandomStream::test, i);
    const auto at = static_cast<size_t>(random / 256 % header.size());
    const char changed = static_cast<char>(random % 256);
    file.write(static_cast<int64_t>(at), std::as_bytes(std::span(&changed, 1)));
    std::string error;
    ASSERT_NO_THROW(error = error_of_reading()) << "byte " << at << " is " << random % 256;
    ++(error == "no error" ? read : refused);
    file.write(static_cast<int64_t>(at), std::as_bytes(std::span(whole).subspan(at, 1)));
  }
  EXPECT_GT(read, 100) << "a name's letters, say";
  EXPECT_GT(refused, 10'000);
  EXPECT_EQ(error_of_reading(), "no error") << "whole again";
}

}  // namespace
}  // namespace lawa
