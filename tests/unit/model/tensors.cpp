// The table of tensors: names, order, shapes, decay and initial values.
#include "model/model_tensors.hpp"

#include <gmock/gmock.h>

#include "support/refuses.hpp"
#include "support/tiny_models.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

ModelConfig one_block() {
  ModelConfig c;
  c.layers = 1;
  c.heads = 2;
  c.channels = 4;
  c.context = 5;
  c.vocabulary = 11;
  c.bias = true;
  return c;
}

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  bool operator==(const Tensor&) const = default;
};
std::vector<Tensor> tensors_of(const ModelConfig& config) {
  std::vector<Tensor> list;
  const ParameterTable table = model_parameters(config);
  for (const Parameter& p : table.parameters()) list.push_back({p.name, p.shape});
  return list;
}

/// The parameter of a name; the test fails without it.
Parameter find(const ParameterTable& table, const std::string& name) {
  for (const Parameter& p : table.parameters())
    if (p.name == name) return p;
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

TEST(ModelTensors, StandInNanoGptsOrderWithItsNames) {
  std::vector<Tensor> expected{{"wte.weight", {11, 4}},
                               {"wpe.weight", {5, 4}},
                               {"h.0.ln_1.weight", {4}},
                               {"h.0.ln_1.bias", {4}},
                               {"h.0.attn.c_attn.weight", {12, 4}},
                               {"h.0.attn.c_attn.bias", {12}},
                               {"h.0.attn.c_proj.weight", {4, 4}},
                               {"h.0.attn.c_proj.bias", {4}},
                               {"h.0.ln_2.weight", {4}},
                               {"h.0.ln_2.bias", {4}},
                               {"h.0.mlp.c_fc.weight", {16, 4}},
                               {"h.0.mlp.c_fc.bias", {16}},
                               {"h.0.mlp.c_proj.weight", {4, 16}},
                               {"h.0.mlp.c_proj.bias", {4}},
                               {"ln_f.weight", {4}},
                               {"ln_f.bias", {4}}};
  ModelConfig config = one_block();
  EXPECT_TRUE(tensors_of(config) == expected);
  config.bias = false;
  std::erase_if(expected, [](const Tensor& t) { return t.name.ends_with(".bias"); });
  EXPECT_TRUE(tensors_of(config) == expected);
}

TEST(ModelTensors, OfGptNeoXHaveHuggingFacesNames) {
  ModelConfig config = one_block();
  config.architecture = "gpt_neox";
  config.tied = false;
  const std::string h = "gpt_neox.layers.0.";
  std::vector<Tensor> expected{{"gpt_neox.embed_in.weight", {11, 4}},
                               {h + "input_layernorm.weight", {4}},
                               {h + "input_layernorm.bias", {4}},
                               {h + "attention.query_key_value.weight", {12, 4}},
                               {h + "attention.query_key_value.bias", {12}},
                               {h + "attention.dense.weight", {4, 4}},
                               {h + "attention.dense.bias", {4}},
                               {h + "post_attention_layernorm.weight", {4}},
                               {h + "post_attention_layernorm.bias", {4}},
                               {h + "mlp.dense_h_to_4h.weight", {16, 4}},
                               {h + "mlp.dense_h_to_4h.bias", {16}},
                               {h + "mlp.dense_4h_to_h.weight", {4, 16}},
                               {h + "mlp.dense_4h_to_h.bias", {4}},
                               {"gpt_neox.final_layer_norm.weight", {4}},
                               {"gpt_neox.final_layer_norm.bias", {4}},
                               {"embed_out.weight", {11, 4}}};
  EXPECT_TRUE(tensors_of(config) == expected);
  config.attention_bias = false;
  std::erase_if(expected, [](const Tensor& t) { return t.name.find("attention.") != std::string::npos && t.name.ends_with(".bias"); });
  EXPECT_TRUE(tensors_of(config) == expected);
  config.tied = true;
  expected.pop_back();
  EXPECT_TRUE(tensors_of(config) == expected);
  config.bias = false;
  std::erase_if(expected, [](const Tensor& t) { return t.name.ends_with(".bias"); });
  EXPECT_TRUE(tensors_of(config) == expected);
}

TEST(ModelTensors, UntiedHeadsAreLinearBehindTheFinalNorm) {
  for (ModelConfig config : {tiny_model(), tiny_gpt_neox()}) {
    config.tied = false;
    const ParameterTable table = model_parameters(config);
    const Parameter& head = table.parameters().back();
    EXPECT_EQ(head.name, config.architecture == "gpt2" ? "lm_head.weight" : "embed_out.weight");
    EXPECT_TRUE(head.decay);
    const Vector<float> buffer = zeros<float>("buffer", table.size());
    const ModelTensors<float> t = model_tensors(config, buffer);
    EXPECT_EQ(t.head.data() - buffer.data(), head.offset);
    config.tied = true;
    const ModelTensors<float> tied = model_tensors(config, buffer);
    EXPECT_EQ(tied.head.data(), tied.wte.data());
  }
}

TEST(ModelTensors, FollowOneAnotherWithoutGaps) {
  const ParameterTable table = model_parameters(tiny_model());
  int64_t end = 0;
  for (const Parameter& p : table.parameters()) {
    EXPECT_EQ(p.offset, end) << p.name;
    end = p.range().end;
  }
  EXPECT_EQ(table.size(), end);
}

TEST(ModelTensors, AreAsManyAsInThePaper) {
  const auto size = [](int64_t layers, int64_t heads, int64_t channels) {
    ModelConfig c;
    c.layers = layers;
    c.heads = heads;
    c.channels = channels;
    return model_parameters(c).size();
  };
  EXPECT_EQ(model_parameters(ModelConfig()).size(), 124373760);
  EXPECT_EQ(size(24, 16, 1024), 354599936);
  EXPECT_EQ(size(36, 20, 1280), 773582080);
}

TEST(ModelTensors, AreAsManyAsPythiaSays) {
  struct Size {
    int64_t layers, heads, channels, vocabulary, parameters;
  };
  for (const auto& [layers, heads, channels, vocabulary, parameters] :
       {Size{6, 4, 128, 50304, 14067712}, {6, 8, 256, 50304, 30494720}, {6, 8, 512, 50304, 70426624}, {12, 12, 768, 50304, 162322944},
        {24, 16, 1024, 50304, 405334016}, {16, 8, 2048, 50304, 1011781632}, {24, 16, 2048, 50304, 1414647808}, {32, 32, 2560, 50304, 2775208960},
        {32, 32, 4096, 50432, 6857302016}, {36, 40, 5120, 50688, 11846072320}}) {
    ModelConfig c = defaults_of("gpt_neox");
    c.layers = layers;
    c.heads = heads;
    c.channels = channels;
    c.vocabulary = vocabulary;
    EXPECT_EQ(model_parameters(c).size(), parameters);
  }
}

TEST(ModelTensors, OnlyLinearWeightsDecayUnlessAskedFor) {
  for (const bool embeddings : {false, true}) {
    const ParameterTable table = model_parameters(tiny_model(), embeddings);
    for (const Parameter& p : table.parameters()) {
      const bool embedding = p.name == "wte.weight" || p.name == "wpe.weight";
      const bool linear = p.name.find(".c_") != std::string::npos && p.name.ends_with(".weight");
      EXPECT_EQ(p.decay, linear || (embedding && embeddings)) << p.name;
    }
  }
}

TEST(ModelTensors, BeginAsGpt2) {
  ModelConfig config = tiny_model();
  config.layers = 8;
  const ParameterTable table = model_parameters(config);
  for (const Parameter& p : table.parameters()) {
    const bool matrix = p.shape.size() == 2;
    const bool residual = p.name.ends_with("c_proj.weight");
    EXPECT_DOUBLE_EQ(p.deviation, !matrix ? 0 : residual ? 0.005 : 0.02) << p.name;  // 0.02 / sqrt(2 * 8)
    EXPECT_EQ(p.mean, !matrix && p.name.ends_with(".weight") ? 1 : 0) << p.name;     // LayerNorm's
  }
}

TEST(ModelTensors, BeginAsPythia) {
  ModelConfig config = tiny_gpt_neox();
  config.channels = 36;
  const ParameterTable table = model_parameters(config);
  for (const Parameter& p : table.parameters()) {
    const bool residual = p.name.ends_with("attention.dense.weight") || p.name.ends_with("4h_to_h.weight");
    const double deviation = residual ? 1.0 / 6 : std::sqrt(2.0 / 180);  // 2 / (2 * sqrt(36)), sqrt(2 / (5 * 36))
    EXPECT_DOUBLE_EQ(p.deviation, p.shape.size() == 2 ? deviation : 0) << p.name;
    EXPECT_EQ(p.mean, p.name.ends_with("norm.weight") ? 1 : 0) << p.name;
    EXPECT_EQ(p.decay, p.shape.size() == 2 && p.name != "gpt_neox.embed_in.weight") << p.name;
  }
}

TEST(ModelTensors, GroupsEndBehindTheEmbeddingsAndEachBlock) {
  const ParameterTable table = model_parameters(tiny_model());
  EXPECT_THAT(table.group_ends(), ElementsAre(find(table, "h.0.ln_1.weight").offset, find(table, "h.1.ln_1.weight").offset,
                                              find(table, "ln_f.weight").offset));
}

TEST(ModelTensors, ViewsLieWhereTheTableSays) {
  const ParameterTable table = model_parameters(tiny_model());
  const Vector<float> buffer = zeros<float>("buffer", table.size());
  const ModelTensors<float> t = model_tensors(tiny_model(), buffer);
  const auto expect = [&](const std::string& name, const auto& view) {
    const Parameter p = find(table, name);
    EXPECT_EQ(view.data() - buffer.data(), p.offset) << name;
    EXPECT_EQ(static_cast<int64_t>(view.size()), p.size()) << name;
    EXPECT_EQ(rows(view), p.shape[0]) << name;
  };
  expect("wte.weight", t.wte);
  expect("wpe.weight", t.wpe);
  for (const size_t l : {0, 1}) {
    const std::string h = concat("h.", l, ".");
    const BlockTensors<float>& b = t.blocks[l];
    for (const auto& [name, norm] : {std::pair{"ln_1", b.ln_1}, {"ln_2", b.ln_2}}) {
      expect(h + name + ".weight", norm.weight);
      expect(h + name + ".bias", norm.bias);
    }
    for (const auto& [name, affine] : {std::pair{"attn.c_attn", b.c_attn}, {"attn.c_proj", b.attn_c_proj}, {"mlp.c_fc", b.c_fc},
                                       {"mlp.c_proj", b.mlp_c_proj}}) {
      expect(h + name + ".weight", affine.weight);
      expect(h + name + ".bias", affine.bias);
    }
    EXPECT_EQ(b.range, (Range{find(table, h + "ln_1.weight").offset, find(table, h + "mlp.c_proj.bias").range().end}));
  }
  expect("ln_f.weight", t.ln_f.weight);
  expect("ln_f.bias", t.ln_f.bias);
  EXPECT_EQ(t.size, table.size());
}

TEST(ModelTensors, RefuseABufferThatIsTooSmall) {
  const Vector<float> buffer = zeros<float>("buffer", model_parameters(tiny_model()).size() - 1);
  EXPECT_THAT(error_of([&] { model_tensors(tiny_model(), buffer); }), HasSubstr(concat("a buffer of ", rows(buffer))));
}

TEST(ModelConfig, RefusesChannelsThatDoNotSplitIntoHeads) {
  ConfigSource source;
  source.add_toml("[model]\nheads = 5\n", "model.toml");
  ModelConfig config;
  config.heads = 5;
  EXPECT_EQ(error_of([&] { check(config, source); }), "model.channels: 768 is not a multiple of model.heads (model.toml:2) = 5");
}

TEST(ModelConfig, NamesTheKeyOfAWrongValue) {
  for (const std::string word : {"gelu=relu", "layers=0", "vocabulary=16777217", "architecture=llama"})
    EXPECT_TRUE(refuses<ModelConfig>(word));
}

ModelConfig config_of(const std::string& toml) {
  ConfigSource source;
  source.add_toml(toml, "model.toml");
  return load_config<ModelConfig>(source);
}

TEST(ModelConfig, HasTheDefaultsOfItsArchitecture) {
  const ModelConfig gpt2 = config_of("layers = 3"), neox = config_of("layers = 3\narchitecture = 'gpt_neox'\ngelu = 'tanh'");
  EXPECT_EQ(std::tie(gpt2.bias, gpt2.tied, gpt2.scale_attention_by_layer, gpt2.gelu), std::tuple(false, true, true, "tanh"));
  EXPECT_EQ(std::tie(neox.bias, neox.tied, neox.scale_attention_by_layer, neox.gelu), std::tuple(true, false, false, "tanh"));
  EXPECT_EQ(std::tie(neox.layers, neox.parallel_residual, neox.rotary_fraction, neox.rotary_base), std::tuple(3, true, 0.25, 10000.0));
  EXPECT_EQ(dump_config(config_of(dump_config(neox))), dump_config(neox));
  ConfigSource later;
  later.add_override("architecture=gpt_neox");
  ModelConfig changed = gpt2;
  apply(changed, later);
  EXPECT_EQ(std::tie(changed.layers, changed.bias, changed.gelu), std::tuple(3, true, "erf"));
}

TEST(ModelConfig, OfGpt2IsDumpedAsEver) {  // the hashes of runs come from it
  EXPECT_EQ(dump_config(ModelConfig()),
            "architecture = \"gpt2\"\nlayers = 12\nheads = 12\nchannels = 768\ncontext = 1024\nvocabulary = 50304\nbias = false\n"
            "scale_attention_by_layer = true\ngelu = \"tanh\"\n");
}

TEST(ModelConfig, RefusesKeysOfTheOtherArchitectureAndOddTurns) {
  for (const std::string key : {"rotary_fraction = 0.5", "rotary_base = 100.0", "parallel_residual = false", "attention_bias = false"})
    EXPECT_THAT(error_of([&] { config_of(key); }), testing::EndsWith("(model.toml:1): is only for model.architecture = \"gpt_neox\""));
  ConfigSource source;
  ModelConfig config = tiny_gpt_neox();
  config.rotary_fraction = 0.5;
  EXPECT_EQ(error_of([&] { check(config, source); }),
            "model.rotary_fraction: 0.5 of a head's 6 channels are 3, and positions turn pairs: it must be even");
}

TEST(ModelConfig, CountsSixOperationsAWeightAndTheAttention) {
  // The small model: 6 (P - wpe - the LayerNorms' weights) + 12 L C T.
  const double products = 124373760 - 1024 * 768 - 25 * 768;
  EXPECT_DOUBLE_EQ(flops_per_token(ModelConfig()), 6 * products + 12.0 * 12 * 768 * 1024);
}

}  // namespace
}  // namespace lawa
