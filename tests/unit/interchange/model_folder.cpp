// Models' folders: what is one, which files it consists of, and what its index may not say.
#include "interchange/model_folder.hpp"

#include <gtest/gtest.h>

#include <array>

#include "core/files.hpp"
#include "interchange/weights_format.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

TensorEntry tensor(const std::string& name, int64_t size, const std::string& dtype = "F32") {
  return {.name = name, .dtype = dtype, .shape = {size}, .bytes = {}};
}

class ModelFolder : public testing::Test {
 protected:
  const test::TemporaryDirectory folder;

  void write(const fs::path& name, const std::vector<TensorEntry>& tensors) const {
    make_folder((folder / name).parent_path());
    const auto [header, text] = lay_out_safetensors(tensors, {});
    write_file(folder / name, text + std::string(static_cast<size_t>(header.file_bytes) - text.size(), 'd'), false);
  }
  void write_index(const std::string& text) const { write_file(folder / "model.safetensors.index.json", text, false); }
  /// Two files of two tensors, a and b, c and d.
  void write_two() const {
    write("model-00001-of-00002.safetensors", {tensor("a", 2), tensor("b", 3)});
    write("model-00002-of-00002.safetensors", {tensor("c", 5), tensor("d", 7)});
  }
};

TEST_F(ModelFolder, IsReadByItsIndex) {
  write_two();
  EXPECT_FALSE(is_model_folder(folder.path()));
  EXPECT_THAT(error_of([&] { models_in(folder.path()); }), HasSubstr("holds pieces of a model, and no index of them"));
  write_index(R"({"weight_map": {"d": "model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}, "metadata": {"total_parameters": 1}})");
  EXPECT_THAT(models_in(folder.path()), ElementsAre(folder.path()));
  const SafetensorsModel model = read_model(folder.path());
  EXPECT_THAT(model.names, ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
  EXPECT_EQ(model.shards[1].tensors.size(), 2u) << "what the index doesn't name is there too";
  const Json index = Json::parse(index_text(model));
  EXPECT_EQ(index["metadata"]["total_size"], 4 * 17);
  EXPECT_EQ(index["metadata"]["total_parameters"], 17);
  EXPECT_EQ(index["weight_map"].size(), 4u);
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
  const PlacedFile file = format_of(folder.path()).open(folder.path());
  EXPECT_EQ(file.header.table.size(), 17);
  EXPECT_EQ(file.places("weights").segments[2].file, 1u);
}

TEST_F(ModelFolder, NumbersOfSeveralFormatsAreReadThoughTheyHaveAsManyBytesAsFloats) {
  const auto [header, text] = lay_out_safetensors({tensor("a", 1, "F64"), tensor("b", 2, "F16")}, {});
  const double one_and_a_half = 1.5;
  const std::array<uint16_t, 2> one_and_two{0x3c00, 0x4000};
  std::string bytes = text;
  bytes.append(reinterpret_cast<const char*>(&one_and_a_half), 8).append(reinterpret_cast<const char*>(one_and_two.data()), 4);
  write_file(folder / "model.safetensors", bytes, false);
  const PlacedFile file = format_of(folder.path()).open(folder.path());
  OpenFiles open(ByteFile::Mode::read);
  std::vector<float> values(3);
  PlacedReader(open, file.path, file.places("weights"), file.header.table).read({0, 3}, values);
  EXPECT_THAT(values, ElementsAre(1.5f, 1.0f, 2.0f));
}

TEST_F(ModelFolder, DoesNotTakeAnIndexThatIsWrong) {
  write_two();
  const std::string first = "\"model-00001-of-00002.safetensors\"";
  const std::pair<std::string, const char*> wrong[] = {
      {"", "isn't an index of safetensors files"},
      {"[]", "isn't an index"},
      {"{}", "isn't an index"},
      {R"({"weight_map": {}})", "names no tensor"},
      {R"({"weight_map": [1]})", "isn't an index"},
      {R"({"weight_map": {"a": 1}})", "isn't an index"},
      {R"({"weight_map": {"a": ["b"]}})", "isn't an index"},
      {R"({"weight_map": {"a": )" + first, "isn't an index"},
      {R"({"weight_map": {"e": )" + first + "}}", "says that tensor \"e\" is in model-00001-of-00002.safetensors, which lacks it"},
      {R"({"weight_map": {"a": "model-00002-of-00002.safetensors", "b": )" + first + "}}", "says that tensor \"a\" is in model-00002"},
      {R"({"weight_map": {"a": "model-00003-of-00002.safetensors"}})", "names model-00003-of-00002.safetensors, which isn't there"},
      {R"({"weight_map": {"a": "../model.safetensors"}})", "isn't a safetensors file of this folder"},
      {R"({"weight_map": {"a": "/model.safetensors"}})", "isn't a safetensors file of this folder"},
      {R"({"weight_map": {"a": "pytorch_model.bin"}})", "isn't a safetensors file of this folder"},
      {R"({"weight_map": {"a": ""}})", "isn't a safetensors file of this folder"},
  };
  for (const auto& [text, says] : wrong) {
    write_index(text);
    const std::string error = error_of([&] { read_model(folder.path()); });
    EXPECT_THAT(error, HasSubstr(says)) << text;
    EXPECT_THAT(error, HasSubstr("model.safetensors.index.json")) << text;
  }
  write("model-00002-of-00002.safetensors", {tensor("a", 5)});
  write_index(R"({"weight_map": {"b": )" + first + R"(, "a": "model-00002-of-00002.safetensors"}})");
  EXPECT_THAT(error_of([&] { read_model(folder.path()); }), HasSubstr("model-00002-of-00002.safetensors: holds tensor \"a\", and so does model-00001"));
}

TEST_F(ModelFolder, AreFoundInFolders) {
  for (const std::string step : {"step2", "step10", "step10.part"}) write("run/" + step + "/model.safetensors", {tensor("a", 1)});
  write("run/step10/consolidated.safetensors", {tensor("a", 1)});
  fs::create_directory_symlink("step10", folder / "run/latest");
  EXPECT_THAT(models_in(folder / "run"), ElementsAre(folder / "run/step10", folder / "run/step2"));
  EXPECT_THAT(models_in(folder.path()), ElementsAre(folder / "run/step10", folder / "run/step2"));
  for (const std::string file : {"a", "b"}) write("files/" + file + ".safetensors", {tensor("a", 1)});
  EXPECT_THAT(models_in(folder / "files"), ElementsAre(folder / "files/a.safetensors", folder / "files/b.safetensors"));
  EXPECT_THAT(named_weights({(folder / "files/a.safetensors").string(), (folder / "run/step2/").string()}),
              ElementsAre(folder / "files/a.safetensors", folder / "run/step2"));
  EXPECT_THAT(companions_of(folder / "run/step10").left, ElementsAre("consolidated.safetensors"));
  write_file(folder / "files/config.json", "{}", false);
  EXPECT_THAT(error_of([&] { models_in(folder / "files"); }), HasSubstr("holds several models, a.safetensors and b.safetensors; name one file"));
  make_folder(folder / "old/checkpoint-1");
  write_file(folder / "old/checkpoint-1/pytorch_model.bin", "", false);
  EXPECT_THAT(error_of([&] { named_weights({(folder / "old/checkpoint-1").string()}); }), HasSubstr("pytorch_model.bin: is PyTorch's own format"));
  write_file(folder / "pointer.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", false);
  EXPECT_THAT(error_of([&] { read_model(folder / "pointer.safetensors"); }), HasSubstr("is a pointer of Git LFS"));
  make_folder(folder / "nothing");
  EXPECT_THAT(error_of([&] { named_weights({(folder / "nothing").string()}); }), HasSubstr("nothing: holds no checkpoint"));
}

TEST_F(ModelFolder, IsDealtOutToFilesThatAreNoLargerThanAsked) {
  const std::vector<TensorEntry> tensors{tensor("a", 2), tensor("b", 2), tensor("c", 9), tensor("d", 0), tensor("e", 1), tensor("f", 2, "F4")};
  const auto names = [&](int64_t bytes) {
    std::vector<std::string> shards;
    for (const auto& shard : shards_of_at_most(tensors, bytes)) {
      shards.emplace_back();
      for (const TensorEntry& entry : shard) shards.back() += entry.name;
    }
    return shards;
  };
  EXPECT_THAT(names(1000), ElementsAre("abcdef"));
  EXPECT_THAT(names(16), ElementsAre("ab", "c", "def")) << "c is too large for any file";
  EXPECT_THAT(names(8), ElementsAre("a", "b", "c", "def"));
  EXPECT_THAT(names(1), ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_THAT(shard_names(2, "model.safetensors"), ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"));
  EXPECT_THAT(shard_names(1, "adapter_model-00003-of-00007.safetensors"), ElementsAre("adapter_model.safetensors"));
  EXPECT_EQ(index_name("model-00001-of-00002.safetensors"), "model.safetensors.index.json");
}

TEST_F(ModelFolder, SizesAreWritten) {
  EXPECT_EQ(bytes_named("5GB", ""), 5'000'000'000);
  EXPECT_EQ(bytes_named("500 MiB", ""), 500 << 20);
  EXPECT_EQ(bytes_named("1.5kb", ""), 1500);
  EXPECT_EQ(bytes_named("123", ""), 123);
  for (const std::string text : {"", "GB", "-1GB", "5 apples", "0", "5GBB", "1e9", "99999999999TB"})
    EXPECT_THAT(error_of([&] { bytes_named(text, "key"); }), HasSubstr("key: \"" + text + "\" isn't a size")) << text;
}

}  // namespace
}  // namespace lawa
