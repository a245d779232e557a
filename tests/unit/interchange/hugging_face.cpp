// Models as transformers saves them: what a config.json and its tensors mean here, and what is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "core/files.hpp"
#include "interchange/exported_model.hpp"
#include "interchange/hugging_face_config.hpp"
#include "interchange/hugging_face_tensors.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/safetensors.hpp"
#include "model/model_tensors.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::HasSubstr;

/// A model's folder while it is put together: config.json, and the tensors of one or two files. Every number of a tensor is a different one.
struct Folder {
  Json config;
  std::vector<TensorEntry> tensors;
  std::string index{};       ///< "": one file, model.safetensors
  size_t in_first_file = 0;  ///< of two

  TensorEntry& at(const std::string& name) {
    return *std::ranges::find(tensors, name, &TensorEntry::name);
  }
  void drop(const std::string& name) { std::erase_if(tensors, [&](const TensorEntry& tensor) { return tensor.name == name; }); }
  void add(const std::string& name, const std::vector<int64_t>& shape, const std::string& dtype = "F32") { tensors.push_back({name, dtype, shape, {}}); }
  void shard() {
    in_first_file = tensors.size() / 2;
    Json places = Json::object();
    for (size_t i = 0; i < tensors.size(); ++i) places[tensors[i].name] = i < in_first_file ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
    index = Json{{"metadata", {{"total_size", 1}}}, {"weight_map", places}}.dump();
  }

  void write(const fs::path& folder) const {
    make_folder(folder);
    write_file(folder / "config.json", config.dump(), false);
    if (index.empty()) return write_tensors(folder / "model.safetensors", tensors);
    write_file(folder / "model.safetensors.index.json", index, false);
    const auto middle = tensors.begin() + static_cast<int64_t>(in_first_file);
    write_tensors(folder / "model-00001-of-00002.safetensors", {tensors.begin(), middle});
    write_tensors(folder / "model-00002-of-00002.safetensors", {middle, tensors.end()});
  }

 private:
  static void write_tensors(const fs::path& path, const std::vector<TensorEntry>& some) {
    const auto [header, text] = lay_out_safetensors(some, {});
    std::string bytes(static_cast<size_t>(header.file_bytes), '\0');
    std::copy(text.begin(), text.end(), bytes.begin());
    for (const TensorEntry& tensor : header.tensors)
      for (int64_t i = 0; tensor.dtype == "F32" && i < tensor.size(); ++i) {
        const float number = static_cast<float>(i + 1) + static_cast<float>(tensor.name.size());
        std::memcpy(bytes.data() + tensor.bytes.begin + 4 * i, &number, sizeof number);
      }
    write_file(path, bytes, false);
  }
};

Folder folder_of(const ModelConfig& model) {
  Folder folder{.config = hugging_face_config(model, NumberFormat::float32), .tensors = {}};
  for (const HuggingFaceTensor& tensor : hugging_face_tensors(model)) folder.add(tensor.name, tensor.shape);
  return folder;
}

ModelConfig tiny(const std::string& architecture) {
  ModelConfig model = defaults_of(architecture);
  model.layers = 2;
  model.heads = 2;
  model.channels = 8;
  model.context = 6;
  model.vocabulary = 11;
  model.rotary_fraction = 0.5;
  model.bias = true;
  return model;
}

// ---- what is refused -------------------------------------------------------------------------------------------------------

struct Refused {
  const char* name;
  const char* architecture;
  std::function<void(Folder&)> spoil;
  const char* says;
};
void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

auto config(const std::string& key, const Json& value) {
  return [=](Folder& folder) { folder.config[key] = value; };
}
auto without(const std::string& key) {
  return [=](Folder& folder) { folder.config.erase(key); };
}
/// An index with one thing in it changed.
auto index_with(const std::function<void(Json&)>& change) {
  return [=](Folder& folder) {
    folder.shard();
    Json index = Json::parse(folder.index);
    change(index);
    folder.index = index.dump();
  };
}
auto index_text_is(const std::string& text) {
  return [=](Folder& folder) {
    folder.shard();
    folder.index = text;
  };
}

const Refused refusals[] = {
    // other architectures
    {"llama", "gpt2", config("model_type", "llama"), "config.json: model_type is \"llama\"; GPT-2 (\"gpt2\") and GPT-NeoX (\"gpt_neox\") can be held here"},
    {"gpt_neo", "gpt2", config("model_type", "gpt_neo"), "model_type is \"gpt_neo\""},
    {"gptj", "gpt_neox", config("model_type", "gptj"), "model_type is \"gptj\""},
    {"no_model_type", "gpt2", without("model_type"), "model_type is missing"},
    {"model_type_is_a_number", "gpt2", config("model_type", 2), "model_type is 2, not a text"},
    {"config_is_nested", "gpt2", [](Folder& f) { for (int i = 0; i < 200; ++i) f.config = Json::array({f.config}); }, "config.json: isn't a config"},
    {"config_is_a_list", "gpt2", [](Folder& f) { f.config = Json::array({1}); }, "config.json: isn't a JSON object"},
    {"code_of_its_own", "gpt_neox", config("auto_map", {{"AutoModel", "modeling.Model"}}), "auto_map is"},
    {"quantized", "gpt2", config("quantization_config", {{"bits", 4}}), "quantization_config is {\"bits\":4}; save the model unquantized"},
    {"cross_attention", "gpt2", config("add_cross_attention", true), "add_cross_attention is true"},
    {"encoder", "gpt2", config("is_encoder_decoder", true), "is_encoder_decoder is true"},
    {"pruned_heads", "gpt2", config("pruned_heads", {{"0", {1}}}), "pruned_heads is"},
    // switches
    {"relu", "gpt2", config("activation_function", "relu"), "activation_function is \"relu\"; models here have gelu, gelu_new"},
    {"silu", "gpt_neox", config("hidden_act", "silu"), "hidden_act is \"silu\""},
    {"quick_gelu", "gpt_neox", config("hidden_act", "quick_gelu"), "hidden_act is \"quick_gelu\""},
    {"epsilon", "gpt2", config("layer_norm_epsilon", 1e-6), "layer_norm_epsilon is 1e-06; LayerNorms here have 1e-05"},
    {"epsilon_of_neox", "gpt_neox", config("layer_norm_eps", 1e-12), "layer_norm_eps is 1e-12"},
    {"unscaled_attention", "gpt2", config("scale_attn_weights", false), "scale_attn_weights is false"},
    {"tied_is_a_text", "gpt2", config("tie_word_embeddings", "yes"), "tie_word_embeddings is \"yes\", neither true nor false"},
    {"linear_rope_scaling", "gpt_neox", config("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}), "rope_scaling: type is \"linear\"; rotations here aren't scaled"},
    {"rope_scaling_without_a_type", "gpt_neox", config("rope_scaling", {{"factor", 2.0}}), "rope_scaling is {\"factor\":2.0}; rotations here aren't scaled"},
    {"yarn", "gpt_neox", config("rope_parameters", {{"rope_type", "yarn"}}), "rope_parameters: rope_type is \"yarn\""},
    {"two_bases", "gpt_neox", config("rope_theta", 500000.0), "rotary_emb_base is 10000.0, and another key says 500000.0"},
    {"odd_rotations", "gpt_neox", config("rotary_pct", 0.75), "rotary_pct turns 3 of a head's 4 channels"},
    {"rotary_beyond_one", "gpt_neox", config("rotary_pct", 1.5), "rotary_pct is 1.5, not from 0 to 1"},
    {"negative_base", "gpt_neox", config("rotary_emb_base", -1), "rotary_emb_base is -1.0, not positive"},
    // sizes
    {"inner", "gpt2", config("n_inner", 16), "n_inner is 16, and an MLP here has 4 * n_embd = 32"},
    {"intermediate_size", "gpt_neox", config("intermediate_size", 20), "intermediate_size is 20, and an MLP here has 4 * hidden_size = 32"},
    {"no_intermediate_size", "gpt_neox", without("intermediate_size"), "says no intermediate_size"},
    {"no_layers_said", "gpt2", without("n_layer"), "says no n_layer"},
    {"no_layers", "gpt2", config("n_layer", 0), "n_layer is 0, not a whole number from 1 to 10000"},
    {"layers_is_a_text", "gpt2", config("n_layer", "2"), "n_layer is \"2\", not a whole number"},
    {"half_a_layer", "gpt_neox", config("num_hidden_layers", 1.5), "num_hidden_layers is 1.5, not a whole number"},
    {"huge_vocabulary", "gpt2", config("vocab_size", int64_t{1} << 40), "vocab_size is 1099511627776, not a whole number"},
    {"two_sizes", "gpt2", config("hidden_size", 16), "hidden_size is 16, which contradicts n_embd = 8"},
    {"two_contexts", "gpt2", config("n_ctx", 7), "n_ctx is 7, which contradicts n_positions = 6"},
    {"heads", "gpt2", config("n_head", 3), "8 channels aren't a multiple of 3 heads"},
    // tensors
    {"another_vocabulary", "gpt2", config("vocab_size", 12), "tensor transformer.wte.weight has the shape [11,8]; this model's is [12,8]"},
    {"another_context", "gpt2", config("n_positions", 7), "tensor transformer.wpe.weight has the shape [6,8]; this model's is [7,8]"},
    {"more_layers_said", "gpt2", config("n_layer", 3), "lacks tensor transformer.h.2.ln_1.weight [8], which its config.json asks for"},
    {"fewer_layers_said", "gpt_neox", config("num_hidden_layers", 1), "holds tensor gpt_neox.layers.1.attention.dense.bias [8], which the GPT-NeoX of its config.json has no place for"},
    {"lacks_a_weight", "gpt_neox", [](Folder& f) { f.drop("gpt_neox.layers.1.mlp.dense_4h_to_h.weight"); }, "lacks tensor gpt_neox.layers.1.mlp.dense_4h_to_h.weight [8,32]"},
    {"lacks_a_bias", "gpt2", [](Folder& f) { f.drop("transformer.h.0.ln_1.bias"); }, "lacks tensor transformer.h.0.ln_1.bias [8], which its config.json asks for; of a model without biases that says \"bias\": false"},
    {"lacks_the_head", "gpt_neox", [](Folder& f) { f.drop("embed_out.weight"); }, "lacks tensor embed_out.weight [11,8]"},
    {"attention_bias_unsaid", "gpt_neox", config("attention_bias", false), "holds tensor gpt_neox.layers.0.attention.dense.bias [8], which the GPT-NeoX"},
    {"shape", "gpt2", [](Folder& f) { f.at("transformer.h.0.mlp.c_fc.weight").shape = {8, 31}; }, "tensor transformer.h.0.mlp.c_fc.weight has the shape [8,31]; this model's is [8,32] or [32,8]"},
    {"shape_of_a_vector", "gpt_neox", [](Folder& f) { f.at("gpt_neox.layers.0.input_layernorm.bias").shape = {1, 8}; }, "input_layernorm.bias has the shape [1,8]; this model's is [8]"},
    {"transposed_neox", "gpt_neox", [](Folder& f) { f.at("gpt_neox.layers.0.mlp.dense_h_to_4h.weight").shape = {8, 32}; }, "dense_h_to_4h.weight has the shape [8,32]; this model's is [32,8]"},
    {"two_layouts", "gpt2", [](Folder& f) { f.at("transformer.h.1.mlp.c_fc.weight").shape = {32, 8}; }, "tensor transformer.h.1.mlp.c_fc.weight lies as (out, in), and transformer.h.1.attn.c_attn.weight the other way round"},
    {"an_adapter", "gpt2", [](Folder& f) { f.add("transformer.h.0.attn.c_attn.lora_A", {2, 8}); }, "holds tensor transformer.h.0.attn.c_attn.lora_A [2,8], which the GPT-2 of its config.json has no place for"},
    {"a_classifier", "gpt2", [](Folder& f) { f.add("score.weight", {2, 8}); }, "holds tensor score.weight [2,8]"},
    {"integers", "gpt2", [](Folder& f) { f.add("transformer.ids", {3}, "I64"); }, "holds tensor transformer.ids (I64 [3])"},
    {"a_weight_in_eights", "gpt_neox", [](Folder& f) { f.at("gpt_neox.embed_in.weight").dtype = "F8_E4M3"; }, "tensor gpt_neox.embed_in.weight is F8_E4M3 [11,8]; weights are F32, F16, BF16 or F64"},
    {"a_tensor_twice", "gpt2", [](Folder& f) { f.add("wte.weight", {11, 8}); }, "holds tensor wte.weight twice, with and without a prefix"},
    {"two_heads", "gpt_neox", [](Folder& f) { f.add("lm_head.weight", {11, 8}); }, "holds tensor lm_head.weight [11,8]"},
    {"untied_head_of_tied", "gpt2", [](Folder& f) { f.add("lm_head.weight", {11, 8}); }, "tensor lm_head.weight isn't transformer.wte.weight, and config.json says that they are tied"},
    {"head_of_another_shape", "gpt2", [](Folder& f) { f.add("lm_head.weight", {12, 8}); }, "tensor lm_head.weight isn't transformer.wte.weight"},
    {"biases_that_config_denies", "gpt2", config("bias", false), "tensor transformer.h.0.ln_1.bias isn't zero, and config.json says \"bias\": false"},
    // files and their index
    {"index_is_no_json", "gpt2", index_text_is("{\"weight_map\""), "isn't an index of safetensors files"},
    {"index_is_a_list", "gpt2", index_text_is("[]"), "isn't an index of safetensors files"},
    {"index_without_a_map", "gpt_neox", index_text_is("{\"metadata\": {}}"), "isn't an index of safetensors files"},
    {"index_of_nothing", "gpt2", index_text_is("{\"weight_map\": {}}"), "names no tensor"},
    {"index_with_numbers", "gpt2", index_with([](Json& index) { index["weight_map"]["transformer.wte.weight"] = 1; }), "isn't an index of safetensors files"},
    {"index_out_of_the_folder", "gpt2", index_with([](Json& index) { index["weight_map"]["transformer.wte.weight"] = "../model.safetensors"; }), "isn't a safetensors file of this folder"},
    {"index_of_pickles", "gpt2", index_with([](Json& index) { index["weight_map"]["transformer.wte.weight"] = "pytorch_model.bin"; }), "isn't a safetensors file of this folder"},
    {"a_shard_that_is_not_there", "gpt_neox", index_with([](Json& index) { index["weight_map"]["embed_out.weight"] = "model-00003-of-00003.safetensors"; }), "names model-00003-of-00003.safetensors, which isn't there"},
    {"a_shard_that_lacks_a_tensor", "gpt2", index_with([](Json& index) { index["weight_map"]["transformer.wte.weight"] = "model-00002-of-00002.safetensors"; }), "says that tensor \"transformer.wte.weight\" is in model-00002-of-00002.safetensors, which lacks it"},
    {"an_index_of_more", "gpt2", index_with([](Json& index) { index["weight_map"]["transformer.h.7.ln_1.weight"] = "model-00001-of-00002.safetensors"; }), "\"transformer.h.7.ln_1.weight\" is in model-00001-of-00002.safetensors, which lacks it"},
};

class HuggingFaceRefusals : public testing::TestWithParam<Refused> {};

TEST_P(HuggingFaceRefusals, NameWhatIsWrong) {
  const test::TemporaryDirectory folder;
  Folder model = folder_of(tiny(GetParam().architecture));
  model.write(folder / "whole");
  EXPECT_NO_THROW(open_model(folder / "whole"));
  GetParam().spoil(model);
  model.write(folder / "m");
  const std::string error = error_of([&] { open_model(folder / "m"); });
  EXPECT_THAT(error, HasSubstr(GetParam().says));
  EXPECT_THAT(error, HasSubstr((folder / "m").string())) << "the place is named";
}
INSTANTIATE_TEST_SUITE_P(All, HuggingFaceRefusals, testing::ValuesIn(refusals), [](const auto& test) { return test.param.name; });

TEST(HuggingFace, WithoutAConfigNothingIsGuessed) {
  const test::TemporaryDirectory folder;
  folder_of(tiny("gpt2")).write(folder / "m");
  fs::remove(folder / "m" / "config.json");
  EXPECT_THAT(error_of([&] { open_model(folder / "m"); }), HasSubstr("there is no config.json beside the weights"));
  write_file(folder / "m" / "config.json", "{", false);
  EXPECT_THAT(error_of([&] { open_model(folder / "m"); }), HasSubstr("config.json: isn't a config"));
}

// ---- what is held ----------------------------------------------------------------------------------------------------------

/// Models that differ in one switch from what is usual, and all together.
std::vector<ModelConfig> some_models() {
  std::vector<ModelConfig> models{tiny("gpt2"), tiny("gpt_neox")};
  const auto add = [&](const std::string& architecture, auto&& change) {
    models.push_back(tiny(architecture));
    change(models.back());
  };
  for (const char* architecture : {"gpt2", "gpt_neox"}) {
    add(architecture, [](ModelConfig& c) { c.bias = false; });
    add(architecture, [](ModelConfig& c) { c.tied = !c.tied; });
    add(architecture, [](ModelConfig& c) { c.gelu = c.gelu == "erf" ? "tanh" : "erf"; });
    add(architecture, [](ModelConfig& c) { c.heads = 1, c.channels = 12, c.vocabulary = 13, c.layers = 1; });
  }
  add("gpt2", [](ModelConfig& c) { c.scale_attention_by_layer = false; });
  add("gpt_neox", [](ModelConfig& c) { c.attention_bias = false; });
  add("gpt_neox", [](ModelConfig& c) { c.parallel_residual = false; });
  add("gpt_neox", [](ModelConfig& c) { c.rotary_fraction = 1, c.rotary_base = 500; });
  add("gpt_neox", [](ModelConfig& c) { c.rotary_fraction = 0, c.bias = false, c.attention_bias = false; });
  return models;
}

TEST(HuggingFace, ConfigsMeanTheSameBackAndForth) {
  for (const ModelConfig& model : some_models()) {
    const Json config = Json::parse(hugging_face_config(model, NumberFormat::bfloat16).dump());
    EXPECT_EQ(dump_config(read_hugging_face_config(config, "config.json")), dump_config(model)) << config.dump();
    EXPECT_EQ(config["torch_dtype"], "bfloat16");
  }
  ModelConfig scaled = tiny("gpt_neox");
  scaled.scale_attention_by_layer = true;
  EXPECT_THAT(error_of([&] { hugging_face_config(scaled, NumberFormat::float32); }), HasSubstr("model.scale_attention_by_layer = true"));
}

TEST(HuggingFace, RotationsStandInOldAndNewKeys) {
  ModelConfig wide = tiny("gpt_neox");
  wide.channels = 16;
  Json config = hugging_face_config(wide, NumberFormat::float32);
  config.erase("rotary_pct");
  config.erase("rotary_emb_base");
  EXPECT_EQ(read_hugging_face_config(config, "c").rotary_fraction, 0.25) << "transformers' default";
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 77}, {"partial_rotary_factor", 0.5}};
  config["rope_scaling"] = nullptr;
  const ModelConfig model = read_hugging_face_config(config, "c");
  EXPECT_EQ(model.rotary_fraction, 0.5);
  EXPECT_EQ(model.rotary_base, 77);
}

std::vector<float> numbers_of(const PlacedFile& file) {
  OpenFiles open(ByteFile::Mode::read);
  std::vector<float> values(static_cast<size_t>(file.header.table.size()));
  PlacedReader(open, file.path, file.places("weights"), file.header.table).read({0, std::ssize(values)}, values);
  return values;
}

TEST(HuggingFace, BuffersPrefixesAndLayoutsChangeNothing) {
  const test::TemporaryDirectory folder;
  for (const char* architecture : {"gpt2", "gpt_neox"}) {
    const ModelConfig model = tiny(architecture);
    const bool neox = is_gpt_neox(model);
    Folder whole = folder_of(model);
    for (TensorEntry& tensor : whole.tensors) tensor.name = without_prefix(model, tensor.name);  // so that both have the same numbers
    whole.write(folder / architecture / "bare");
    const PlacedFile bare = open_model(folder / architecture / "bare");
    EXPECT_TRUE(bare.header.table.same_layout(model_parameters(model)));
    EXPECT_EQ(dump_config(model_of(bare.header, "")), dump_config(model));
    whole.add(neox ? "layers.0.attention.bias" : "h.0.attn.bias", {1, 1, 6, 6});
    whole.add(neox ? "layers.0.attention.masked_bias" : "h.1.attn.masked_bias", {});
    whole.add(neox ? "layers.1.attention.rotary_emb.inv_freq" : "h.1.attn.bias", {3}, neox ? "F32" : "BOOL");
    whole.shard();
    whole.write(folder / architecture / "with_buffers");
    EXPECT_EQ(numbers_of(open_model(folder / architecture / "with_buffers")), numbers_of(bare));
  }
}

TEST(HuggingFace, ProjectionsOfGpt2AreTransposed) {
  const test::TemporaryDirectory folder;
  const ModelConfig model = tiny("gpt2");
  Folder conv1d = folder_of(model), linear = conv1d;
  for (TensorEntry& tensor : linear.tensors)
    if (tensor.name.find(".h.") != std::string::npos && tensor.shape.size() == 2) std::ranges::reverse(tensor.shape);
  conv1d.write(folder / "conv1d");
  linear.write(folder / "linear");
  const auto there = numbers_of(open_model(folder / "conv1d")), here = numbers_of(open_model(folder / "linear"));
  const ParameterTable table = model_parameters(model);
  for (const Parameter& parameter : table.parameters()) {
    const bool turned = parameter.name.starts_with("h.") && parameter.shape.size() == 2;
    const int64_t columns = turned ? parameter.shape[1] : 1, rows = parameter.size() / columns;
    for (int64_t i = 0; i < parameter.size(); ++i) {
      const int64_t other = turned ? i % columns * rows + i / columns : i;
      ASSERT_EQ(there[static_cast<size_t>(parameter.offset + i)], here[static_cast<size_t>(parameter.offset + other)]) << parameter.name << " " << i;
    }
  }
}

TEST(HuggingFace, AnExportIsLaidOutAsItIsOpened) {
  for (const ModelConfig& model : some_models()) {
    const test::TemporaryDirectory folder;
    const FlatHeader header{.kind = "weights", .table = model_parameters(model), .config = "[model]\n" + dump_config(model)};
    const PlacedFile made = lay_out_export(folder / "m", {header, NumberFormat::float16, 300});
    OpenFiles open(ByteFile::Mode::update);
    PlacedWriter writer(open, part_of(folder / "m"), made.places("weights"));
    std::vector<float> values(static_cast<size_t>(header.table.size()));
    std::iota(values.begin(), values.end(), 1.0f);
    for (float& value : values) value = static_cast<float>(static_cast<int>(value) % 2048);
    writer.write({0, std::ssize(values)}, values);
    writer.verify({0, std::ssize(values)});
    open.close_all();
    commit_file(folder / "m", false);
    const PlacedFile opened = open_model(folder / "m");
    EXPECT_EQ(numbers_of(opened), values);
    EXPECT_EQ(dump_config(model_of(opened.header, "")), dump_config(model));
    EXPECT_GT(opened.places("weights").files.size(), 5u) << "of at most 300 bytes each, unless a tensor has more";
  }
}

}  // namespace
}  // namespace lawa
