// GPT-2's table of tensors: names, order, shapes, decay and initial values.
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
  for (const std::string word : {"gelu=relu", "layers=0", "vocabulary=65537", "architecture=gpt_neox"})
    EXPECT_TRUE(refuses<ModelConfig>(word));
}

TEST(ModelConfig, CountsSixOperationsAWeightAndTheAttention) {
  // The small model: 6 (P - wpe - the LayerNorms' weights) + 12 L C T.
  const double products = 124373760 - 1024 * 768 - 25 * 768;
  EXPECT_DOUBLE_EQ(flops_per_token(ModelConfig()), 6 * products + 12.0 * 12 * 768 * 1024);
}

}  // namespace
}  // namespace lawa
