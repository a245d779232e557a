// The forward and backward of GPT-2 and GPT-NeoX against the same models in doubles.
#include "model/transformer.hpp"

#include <gmock/gmock.h>

#include <array>
#include <set>

#include "ops/gemm.hpp"
#include "reference/central_differences.hpp"
#include "reference/transformer.hpp"
#include "support/errors.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/tiny_models.hpp"
#include "tensor/convert.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::Each;
using testing::HasSubstr;

using Change = void (*)(ModelConfig&);
/// A model, and the same with one switch the other way at a time.
std::vector<ModelConfig> variants(const ModelConfig& model, const std::vector<Change>& changes) {
  std::vector<ModelConfig> all{model};
  for (const Change change : changes) change(all.emplace_back(model));
  return all;
}
const std::vector<ModelConfig> gpt2 = variants(tiny_model(), {[](ModelConfig& c) { c.bias = false; }, [](ModelConfig& c) { c.tied = false; },
                                                              [](ModelConfig& c) { c.scale_attention_by_layer = false; },
                                                              [](ModelConfig& c) { c.gelu = "erf"; }});
const std::vector<ModelConfig> gpt_neox =
    variants(tiny_gpt_neox(), {[](ModelConfig& c) { c.bias = false; }, [](ModelConfig& c) { c.attention_bias = false; },
                               [](ModelConfig& c) { c.tied = true; }, [](ModelConfig& c) { c.parallel_residual = false; },
                               [](ModelConfig& c) { c.rotary_fraction = 1; }, [](ModelConfig& c) { c.rotary_fraction = 0; },
                               [](ModelConfig& c) { c.rotary_base = 10; }, [](ModelConfig& c) { c.gelu = "tanh"; }});
std::vector<ModelConfig> all_variants() {
  std::vector<ModelConfig> all = gpt2;
  all.insert(all.end(), gpt_neox.begin(), gpt_neox.end());
  return all;
}
const ModelConfig one_of_each[] = {tiny_model(), tiny_gpt_neox()};
std::string words(const ModelConfig& c) { return dump_config(c); }

double reference_loss(const ModelConfig& config, const reference::Values& weights, const TokenBatch& batch) {
  const reference::Array z = reference::logits(config, weights, values(batch.inputs), columns(batch.inputs));
  return cross_entropy(z, values(batch.targets));
}
template <class S>
std::vector<float> logits_of(Transformer<S>& model, const ModelConfig& config, const Matrix<int32_t>& inputs) {
  const Matrix<float> z = filled(rows(inputs) * columns(inputs), config.vocabulary, not_a_number);
  model.logits(Exec(), inputs, z);
  return values(z);
}
/// The gradient of one batch's loss, from zero.
template <class S>
std::vector<float> gradient_of(Transformer<S>& model, const TokenBatch& batch, double scale = 1) {
  fill(Exec(), model.gradients(), 0.f);
  model.forward_backward(Exec(), batch, scale);
  return values(model.gradients());
}

/// x, with zeros outside a range.
reference::Values only(Range range, reference::Values x) {
  std::fill(x.begin(), x.begin() + range.begin, 0);
  std::fill(x.begin() + range.end, x.end(), 0);
  return x;
}

TEST(Transformer, LogitsAndLossAgreeWithReference) {
  for (const ModelConfig& config : all_variants())
    for (const int64_t length : {config.context, int64_t{4}, int64_t{1}}) {
      SCOPED_TRACE(concat(words(config), ", T ", length));
      Transformer<float> model = model_with_random_weights(config, 3);
      const TokenBatch batch = random_batch(config, 3, length, 1);
      const reference::Values weights = in_doubles(model.weights());
      const reference::Array expected = reference::logits(config, weights, values(batch.inputs), length);
      EXPECT_TRUE(near(logits_of(model, config, batch.inputs), expected.values, tolerance::model.forward));
      const std::array loss{model.loss(Exec(), batch)}, expected_loss{reference_loss(config, weights, batch)};
      EXPECT_TRUE(near(loss, expected_loss, tolerance::model.forward));
    }
}

TEST(Transformer, EverySwitchChangesTheLogits) {
  for (const auto& models : {gpt2, gpt_neox}) {
    std::set<std::vector<float>> different;
    for (const ModelConfig& config : models) {
      Transformer<float> model = model_with_random_weights(config, 1);
      different.insert(logits_of(model, config, random_batch(config, 1, config.context, 1).inputs));
    }
    EXPECT_EQ(different.size(), models.size());
  }
}

// For each tensor, the derivative along a random direction in it: a wrong line of the backward is found by name.
TEST(Transformer, GradientAgreesWithCentralDifferencesForEveryTensor) {
  for (const ModelConfig& config : all_variants())
    for (const int64_t length : {config.context, int64_t{4}}) {
      Transformer<float> model = model_with_random_weights(config, 2);
      const TokenBatch batch = random_batch(config, 2, length, 1);
      const double scale = 0.25;
      gradient_of(model, batch, scale);
      const reference::Values weights = in_doubles(model.weights()), gradient = in_doubles(model.gradients());
      const reference::Values random = in_doubles(random_vector(rows(model.weights()), 5));
      const auto loss = [&](const reference::Values& w) { return scale * reference_loss(config, w, batch); };
      const ParameterTable table = model_parameters(config);
      for (const Parameter& p : table.parameters()) {
        SCOPED_TRACE(concat(p.name, ", ", words(config), ", T ", length));
        const reference::Values direction = only(p.range(), random), part = only(p.range(), gradient);
        const double norm = std::sqrt(reference::dot(part, part));
        EXPECT_GT(norm, 1e-3);
        EXPECT_NEAR(reference::dot(part, direction), reference::directional_difference(loss, weights, direction),
                    tolerance::model.backward * norm);
      }
    }
}

TEST(Transformer, PositionsPastTheSequencesHaveNoGradient) {
  const ModelConfig config = tiny_model();
  Transformer<float> model = model_with_random_weights(config, 2);
  gradient_of(model, random_batch(config, 2, 4, 1));
  const Matrix<float> dwpe = model_tensors(config, model.gradients()).wpe;
  EXPECT_THAT(values(slice(dwpe, {4, 7})), Each(0.f));
  EXPECT_THAT(values(slice(dwpe, {0, 4})), Each(testing::Ne(0.f)));
}

TEST(Transformer, GradientsOfABatchAreTheSumOfItsSlices) {  // 560 rows: the head takes 512 at a time, and a remainder
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    Transformer<float> model = model_with_random_weights(config, 80);
    const TokenBatch batch = random_batch(config, 80, config.context, 1);
    const std::vector<float> whole = gradient_of(model, batch);
    const double loss = model.loss(Exec(), batch);
    fill(Exec(), model.gradients(), 0.f);
    double sum = 0;
    for (const Range some : {Range{0, 33}, {33, 66}, {66, 80}}) sum += model.forward_backward(Exec(), slice_of(batch, some), 1);
    EXPECT_TRUE(near(values(model.gradients()), whole, tolerance::model.backward));
    EXPECT_TRUE(near(std::array{sum}, std::array{loss}, tolerance::model.forward));
  }
}

TEST(Transformer, BackwardAddsIntoTheGradients) {
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    Transformer<float> model = model_with_random_weights(config, 2);
    const TokenBatch batch = random_batch(config, 2, config.context, 1);
    const std::vector<float> gradient = gradient_of(model, batch);
    const std::vector<float> before = normals(rows(model.gradients()), 3);
    set(model.gradients(), before);
    model.forward_backward(Exec(), batch, 1);
    EXPECT_TRUE(near(values(model.gradients()), sum_of(before, gradient), tolerance::model.backward));
  }
}

TEST(Transformer, EvaluationHasTheLossOfTraining) {
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    Transformer<float> training = model_with_random_weights(config, 80), evaluation = model_with_random_weights(config, 80, Purpose::evaluation);
    const TokenBatch batch = random_batch(config, 80, config.context, 1);
    const double loss = evaluation.loss(Exec(), batch);
    EXPECT_EQ(loss, training.loss(Exec(), batch));
    EXPECT_NEAR(loss, training.forward_backward(Exec(), batch, 1), 1e-6 * loss);
    EXPECT_EQ(rows(evaluation.gradients()), 0);
    EXPECT_THAT(error_of([&] { evaluation.forward_backward(Exec(), batch, 1); }), HasSubstr("made for evaluation"));
  }
}

TEST(Transformer, ForgetsTheBatchesBefore) {  // other shapes, whose activations lay elsewhere in the same room
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    Transformer<float> model = model_with_random_weights(config, 3);
    const TokenBatch batch = random_batch(config, 2, 5, 1);
    const std::vector<float> first = gradient_of(model, batch);
    for (const auto& [sequences, length] : {std::pair<int64_t, int64_t>{2, 7}, {3, 5}, {1, 1}}) {
      gradient_of(model, random_batch(config, sequences, length, 2));
      EXPECT_TRUE(same_bits(gradient_of(model, batch), first)) << sequences << " of " << length;
    }
  }
}

TEST(Transformer, AnnouncesFinishedGradientsFromTheEndToTheFront) {
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    const int64_t P = model_parameters(config).size();
    Transformer<float> model = model_with_random_weights(config, 2);
    std::vector<float> announced(static_cast<size_t>(P), not_a_number);
    int64_t front = P, times = 0;
    model.forward_backward(Exec(), random_batch(config, 2, config.context, 1), 1, Gradients::add, [&](Range range) {
      EXPECT_EQ(range.end, front);
      EXPECT_FALSE(range.empty());
      const std::vector<float> now = values(slice(model.gradients(), range));
      std::copy(now.begin(), now.end(), announced.begin() + range.begin);
      front = range.begin;
      ++times;
    });
    EXPECT_EQ(front, 0);
    EXPECT_EQ(times, config.layers + 2);
    EXPECT_TRUE(same_bits(announced, values(model.gradients())));  // what was announced was final
  }
}

TEST(Transformer, OverwritingForgetsWhateverWasThere) {
  for (const ModelConfig& config : all_variants()) {
    Transformer<float> model = model_with_random_weights(config, 2);
    const TokenBatch batch = random_batch(config, 2, config.context, 1);
    const std::vector<float> expected = gradient_of(model, batch);
    fill(Exec(), model.gradients(), not_a_number);
    model.forward_backward(Exec(), batch, 1, Gradients::overwrite);
    EXPECT_TRUE(near(values(model.gradients()), expected, 1e-7)) << words(config);
  }
}

TEST(Transformer, RecomputingChangesNoBit) {
  for (const Purpose purpose : {Purpose::recompute_attention, Purpose::recompute_block})
    for (const auto& [layers, parallel] : {std::pair{1, false}, {2, false}, {3, false}, {1, true}, {2, true}, {3, true}}) {
      ModelConfig config = parallel ? tiny_gpt_neox() : tiny_model();
      config.layers = layers;
      Transformer<float> keeping = model_with_random_weights(config, 2), lean = model_with_random_weights(config, 2, purpose);
      for (const uint64_t seed : {1, 2}) {
        const TokenBatch batch = random_batch(config, 2, config.context, seed);
        EXPECT_TRUE(same_bits(gradient_of(lean, batch), gradient_of(keeping, batch))) << layers;
        EXPECT_EQ(lean.loss(Exec(), batch), keeping.loss(Exec(), batch));
      }
    }
}

/// A model that keeps weights and activations as bf16, with the weights of model_with_random_weights rounded.
Transformer<bf16> coarse_model(const ModelConfig& config, int64_t sequences, Purpose purpose = Purpose::training) {
  const auto weights = vector(random_weights(config));
  Transformer<bf16> model(config, sequences, rows(weights), purpose);
  convert(Exec(), weights, model.weights());
  return model;
}

TEST(Transformer, InBfloat16IsAsFarFromDoublesAsItsRounding) {
  if (!multiplies_in(Precision::bf16)) GTEST_SKIP() << "not on this processor or build";
  for (const ModelConfig& config : all_variants()) {
    Transformer<float> exact = model_with_random_weights(config, 2);
    Transformer<bf16> coarse = coarse_model(config, 2);
    const TokenBatch batch = random_batch(config, 2, config.context, 1);
    const double loss = reference_loss(config, in_doubles(exact.weights()), batch);
    EXPECT_NEAR(coarse.loss(Exec(), batch), loss, 1e-2 * loss) << words(config);
    EXPECT_NE(coarse.loss(Exec(), batch), exact.loss(Exec(), batch)) << "it does round";
    const std::vector<float> gradient = gradient_of(coarse, batch), expected = gradient_of(exact, batch);
    const ParameterTable table = model_parameters(config);
    for (const Parameter& p : table.parameters()) {
      const auto tensor = [&](const std::vector<float>& of) { return std::vector(of.begin() + p.range().begin, of.begin() + p.range().end); };
      EXPECT_TRUE(near(tensor(gradient), tensor(expected), 0x1p-5)) << p.name << ", " << words(config);  // some roundings of 2^-9 in a row
    }
  }
}

TEST(Transformer, InBfloat16RepeatsBitForBitHoweverMuchIsRecomputed) {
  if (!multiplies_in(Precision::bf16)) GTEST_SKIP() << "not on this processor or build";
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    const TokenBatch batch = random_batch(config, 2, config.context, 1);
    Transformer<bf16> keeping = coarse_model(config, 2);
    const std::vector<float> expected = gradient_of(keeping, batch);
    for (const Purpose purpose : {Purpose::training, Purpose::recompute_attention, Purpose::recompute_block}) {
      Transformer<bf16> lean = coarse_model(config, 2, purpose);
      EXPECT_TRUE(same_bits(gradient_of(lean, batch), expected));
    }
    Transformer<bf16> evaluation = coarse_model(config, 2, Purpose::evaluation);
    EXPECT_EQ(evaluation.loss(Exec(), batch), keeping.loss(Exec(), batch));
  }
}

TEST(Transformer, LeavesThePaddingAlone) {
  for (const ModelConfig& config : one_of_each) {
    SCOPED_TRACE(config.architecture);
    const int64_t P = model_parameters(config).size(), padding = 100;
    Transformer<float> exact = model_with_random_weights(config, 2), padded(config, 2, P + padding, Purpose::training);
    std::vector<float> weights = values(exact.weights());
    weights.resize(static_cast<size_t>(P + padding), not_a_number);
    set(padded.weights(), weights);
    const TokenBatch batch = random_batch(config, 2, config.context, 1);
    gradient_of(padded, batch);
    EXPECT_TRUE(same_bits(values(slice(padded.gradients(), {0, P})), gradient_of(exact, batch)));
    EXPECT_THAT(values(slice(padded.gradients(), {P, P + padding})), Each(0.f));
  }
}

TEST(Transformer, RefusesBatchesLargerThanItsRoom) {
  const ModelConfig config = tiny_model();
  Transformer<float> model = model_with_random_weights(config, 2);
  EXPECT_THAT(error_of([&] { model.loss(Exec(), random_batch(config, 3, 7, 1)); }), HasSubstr("3 sequences of 7"));
  EXPECT_THAT(error_of([&] { model.loss(Exec(), random_batch(config, 2, 8, 1)); }), HasSubstr("2 sequences of 8"));
}

TEST(Transformer, ActivationsGrowWithTheBatchAndAreFewerForEvaluation) {
  const ModelConfig config;  // the small model
  const auto bytes = [&](int64_t sequences, Purpose purpose) {
    return static_cast<double>(Transformer<float>::activation_bytes(config, sequences, purpose));
  };
  // At least what the backward reads of a block: x, h1, qkv, y, x1, h2, f, g make 16 N C floats.
  const double kept = 12.0 * 1024 * 16 * 768 * sizeof(float);
  EXPECT_GT(bytes(1, Purpose::training), kept);
  EXPECT_LT(bytes(1, Purpose::training), 1.5 * kept);
  // From 8 to 16 sequences, as the room for logits grows no more.
  EXPECT_GT(bytes(16, Purpose::training) - bytes(8, Purpose::training), 8 * kept);
  EXPECT_LT(bytes(1, Purpose::evaluation), bytes(1, Purpose::training) / 3);
  const double inputs = 12.0 * 1024 * 768 * sizeof(float), one_block = kept / 12;
  EXPECT_LT(bytes(16, Purpose::recompute_block) - bytes(8, Purpose::recompute_block), 8 * (inputs + 2 * one_block));
  EXPECT_LT(bytes(1, Purpose::recompute_attention), bytes(1, Purpose::training) - 11 * 5 / 16.0 * one_block);  // h1, qkv, y of eleven
  EXPECT_GT(bytes(1, Purpose::recompute_attention), bytes(1, Purpose::recompute_block));
  const auto neox = static_cast<double>(Transformer<float>::activation_bytes(defaults_of("gpt_neox"), 1, Purpose::training));
  EXPECT_EQ(neox, bytes(1, Purpose::training) - 11 * one_block / 16);  // without x1 but for one
  const int64_t coarse = Transformer<bf16>::activation_bytes(config, 16, Purpose::training) - Transformer<bf16>::activation_bytes(config, 8, Purpose::training);
  EXPECT_LT(static_cast<double>(coarse), 0.62 * (bytes(16, Purpose::training) - bytes(8, Purpose::training)));  // residuals stay float
}

}  // namespace
}  // namespace lawa
