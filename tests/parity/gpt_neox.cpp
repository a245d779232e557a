// GPT-NeoX and AdamW against transformers and PyTorch in float64: gpt_neox.h5, made by make_gpt_neox.py.
#include <gtest/gtest.h>

#include <filesystem>

#include "parity/golden.hpp"
#include "support/near.hpp"
#include "support/plain_training.hpp"
#include "support/tiny_models.hpp"

namespace lawa::test {
namespace {

constexpr const char* path = "tests/parity/gpt_neox.h5";
// float32 against float64 whose cosines are float32 as well. Measured: 2e-8 in losses, 5e-7 in logits (PyTorch's own float32: 4e-7), 1.2e-6 in
// gradients, 3e-6 in weights after eight updates.
constexpr double loss_tolerance = 5e-7, logits_tolerance = 2e-6, gradients_tolerance = 5e-6, weights_tolerance = 1e-5;

/// make_gpt_neox.py's: the finalizer of MurmurHash3 as a fraction, less 1/2.
double noise(uint64_t seed, uint64_t i) {
  uint64_t x = i + seed * 0x9E3779B97F4A7C15;
  for (const uint64_t factor : {0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53}) x = (x ^ (x >> 33)) * factor;
  x ^= x >> 33;
  return static_cast<double>(x >> 40) / 0x1p24 - 0.5;
}

/// A case of the file and the model that it is about.
struct NeoxCase {
  GoldenGroup file;
  ModelConfig config;
  ParameterTable table;
  uint64_t seed;
  int64_t sequences, length;

  explicit NeoxCase(const std::string& name)
      : file(name, path), config(config_of(file)), table(model_parameters(config)), seed(static_cast<uint64_t>(file.integer("seed"))),
        sequences(file.integer("sequences")), length(file.integer("length")) {}

  static ModelConfig config_of(const GoldenGroup& file) {
    ModelConfig c = defaults_of("gpt_neox");
    for (const auto& [key, field] : {std::pair{"layers", &c.layers}, {"heads", &c.heads}, {"channels", &c.channels}, {"context", &c.context},
                                     {"vocabulary", &c.vocabulary}})
      *field = file.integer(key);
    for (const auto& [key, field] : {std::pair{"bias", &c.bias}, {"attention_bias", &c.attention_bias}, {"parallel_residual", &c.parallel_residual},
                                     {"tied", &c.tied}})
      *field = file.integer(key) != 0;
    c.gelu = file.text("gelu");
    c.rotary_fraction = file.number("rotary_fraction");
    c.rotary_base = file.number("rotary_base");
    return c;
  }
  std::vector<float> weights() const {
    std::vector<float> flat;
    for (const Parameter& p : table.parameters())
      for (int64_t i = 0; i < p.size(); ++i) flat.push_back(static_cast<float>(p.mean + 0.35 * noise(seed, flat.size())));
    return flat;
  }
  TokenBatch batch(int64_t index) const {
    std::vector<int32_t> inputs, targets;
    for (int64_t b = index * sequences; b < (index + 1) * sequences; ++b)
      for (int64_t t = 0; t < length; ++t)
        for (auto* to : {&inputs, &targets}) {
          const auto i = static_cast<uint64_t>(b * (length + 1) + t + (to == &targets ? 1 : 0));
          to->push_back(static_cast<int32_t>((noise(seed + 1, i) + 0.5) * static_cast<double>(config.vocabulary)));
        }
    return {matrix(sequences, length, inputs), matrix(sequences, length, targets)};
  }
  Transformer<float> model(Purpose purpose) const {
    Transformer<float> model(config, sequences, table.size(), purpose);
    set(model.weights(), weights());
    return model;
  }
  double tokens() const { return static_cast<double>(sequences * length); }
};

std::vector<float> tensor_of(const std::vector<float>& flat, const Parameter& p) {
  return {flat.begin() + p.range().begin, flat.begin() + p.range().end};
}

class NeoxForward : public testing::TestWithParam<const char*> {
 protected:
  const NeoxCase case_{GetParam()};
};
class NeoxBackward : public NeoxForward {};
std::string name_of(const testing::TestParamInfo<const char*>& test) {
  std::string name = test.param;
  std::ranges::replace(name, '.', '_');
  return name;
}

TEST_P(NeoxForward, LogitsAndLossAgree) {
  Transformer<float> model = case_.model(Purpose::evaluation);
  const Matrix<float> z = filled(case_.sequences * case_.length, case_.config.vocabulary, not_a_number);
  model.logits(Exec(), case_.batch(0).inputs, z);
  EXPECT_TRUE(near(values(z), case_.file.values<double>("logits"), logits_tolerance));
  const double loss = model.loss(Exec(), case_.batch(0)) / case_.tokens();
  EXPECT_TRUE(near(std::vector{loss}, case_.file.values<double>("loss"), loss_tolerance));
}

TEST_P(NeoxBackward, GradientsAgree) {
  Transformer<float> model = case_.model(Purpose::training);
  model.forward_backward(Exec(), case_.batch(0), 1 / case_.tokens());
  const std::vector<float> gradients = values(model.gradients());
  std::vector<std::string> names;
  for (const Parameter& p : case_.table.parameters()) {
    EXPECT_TRUE(near(tensor_of(gradients, p), case_.file.values<float>("gradients/" + p.name), gradients_tolerance)) << p.name;
    names.push_back(p.name);
  }
  std::ranges::sort(names);
  EXPECT_EQ(names, case_.file.names("gradients"));
}

INSTANTIATE_TEST_SUITE_P(Case, NeoxForward,
                         testing::Values("pythia", "sequential", "tied", "all_channels_turned", "none_turned", "no_biases", "no_attention_biases",
                                         "rounded_down", "small_base", "large_base", "one_head", "narrow_heads", "odd_heads", "tanh",
                                         "large_vocabulary", "one_token", "pythia_70m_head", "pythia_2.8b_head"), name_of);
INSTANTIATE_TEST_SUITE_P(Case, NeoxBackward, testing::Values("pythia", "sequential", "tied", "all_channels_turned"), name_of);

TEST(NeoxAdamWParity, LossesNormsAndWeightsOfSomeUpdatesAgree) {
  const GoldenGroup file("adamw", path);
  const NeoxCase start(file.text("case"));
  TrainConfig c;
  c.model = start.config;
  c.optimizer = {.beta1 = file.number("beta1"), .beta2 = file.number("beta2"), .epsilon = file.number("epsilon"),
                 .weight_decay = file.number("weight_decay"), .clip_norm = file.number("clip_norm")};
  c.schedule = {.kind = "constant", .steps = file.integer("updates"), .warmup_steps = 0, .decay_steps = 0, .peak_lr = file.number("lr"), .final_lr = 0};
  PlainTraining training(c, start.sequences, start.weights());
  std::vector<double> losses, norms;
  for (int64_t i = 0; i < c.schedule.steps; ++i) {
    const StepResult step = training.step(start.batch(i));
    losses.push_back(step.loss);
    norms.push_back(step.grad_norm);
  }
  EXPECT_TRUE(near(losses, file.values<double>("losses"), loss_tolerance));
  EXPECT_TRUE(near(norms, file.values<double>("grad_norms"), 2 * loss_tolerance));
  const std::vector<float> weights = training.weights();
  for (const Parameter& p : start.table.parameters())
    EXPECT_TRUE(near(tensor_of(weights, p), file.values<float>("weights/" + p.name), weights_tolerance)) << p.name;
}

TEST(NeoxGoldenFile, IsSmallEnoughToCommit) { EXPECT_LT(std::filesystem::file_size(path), 500'000u); }

}  // namespace
}  // namespace lawa::test
