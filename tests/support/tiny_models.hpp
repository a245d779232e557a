// Models that are small enough for a test, and batches for them.
#pragma once
#include "model/transformer.hpp"
#include "support/fixtures.hpp"

namespace lawa::test {

/// Odd sizes, two blocks, every kind of tensor.
inline ModelConfig tiny_model() {
  ModelConfig c;
  c.layers = 2;
  c.heads = 3;
  c.channels = 18;
  c.context = 7;
  c.vocabulary = 37;
  c.bias = true;
  return c;
}

/// The same of a GPT-NeoX: four of each head's six channels are turned.
inline ModelConfig tiny_gpt_neox() {
  ModelConfig c = defaults_of("gpt_neox");
  c.layers = 2;
  c.heads = 3;
  c.channels = 18;
  c.context = 7;
  c.vocabulary = 37;
  c.rotary_fraction = 0.7;
  c.rotary_base = 50;
  return c;
}

/// Weights far from their initial values: no gradient is nearly zero.
inline std::vector<float> random_weights(const ModelConfig& config) {
  const ParameterTable table = model_parameters(config);
  std::vector<float> weights = normals(table.size(), 17, 0.1);
  for (const Parameter& p : table.parameters())
    for (int64_t i = p.range().begin; i < p.range().end; ++i) weights[static_cast<size_t>(i)] += static_cast<float>(p.mean);
  return weights;
}
/// A model with these weights.
inline Transformer<float> model_with_random_weights(const ModelConfig& config, int64_t sequences, Purpose purpose = Purpose::training) {
  const std::vector<float> weights = random_weights(config);
  Transformer<float> model(config, sequences, std::ssize(weights), purpose);
  set(model.weights(), weights);
  return model;
}

/// `sequences` random sequences of `length` tokens.
inline TokenBatch random_batch(const ModelConfig& config, int64_t sequences, int64_t length, uint64_t seed) {
  const int64_t n = sequences * length;
  return {matrix(sequences, length, token_ids(n, config.vocabulary, seed)),
          matrix(sequences, length, token_ids(n, config.vocabulary, seed + 1))};
}

/// Sequences [begin, end) of a batch, sharing its memory.
inline TokenBatch slice_of(const TokenBatch& batch, Range sequences) {
  return {slice(batch.inputs, sequences), slice(batch.targets, sequences)};
}

}  // namespace lawa::test
