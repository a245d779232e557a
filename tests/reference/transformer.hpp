// A transformer's forward from flat weights: its tensors in the file's order, one operation a line.
#pragma once
#include "model/model_config.hpp"
#include "reference/attention.hpp"
#include "reference/cross_entropy.hpp"
#include "reference/embed.hpp"
#include "reference/gelu.hpp"
#include "reference/gemm.hpp"
#include "reference/layer_norm.hpp"
#include "reference/rotary.hpp"

namespace lawa::reference {

/// Applies layers whose weights lie one after the other in a flat buffer.
class Layers {
 public:
  Layers(const Values& weights, bool bias) : next_(weights.begin()), bias_(bias) {}

  Array matrix(int64_t n, int64_t m) { return {n, m, vector(n * m)}; }
  Array norm(const Array& x) {
    const Values weight = vector(x.columns);
    return layer_norm(x, weight, optional_bias(x.columns));
  }
  Array affine(const Array& x, int64_t out, bool biased = true) {
    const Array weight = matrix(out, x.columns);
    return reference::affine(x, weight, biased ? optional_bias(out) : Values{});
  }

 private:
  Values vector(int64_t n) {
    const auto begin = next_;
    return {begin, next_ += n};
  }
  Values optional_bias(int64_t n) { return bias_ ? vector(n) : Values{}; }

  Values::const_iterator next_;
  bool bias_;
};

inline Array sum(Array a, const Array& b) {
  for (size_t i = 0; i < a.values.size(); ++i) a.values[i] += b.values[i];
  return a;
}

/// Logits (N, V) of sequences of `length` tokens; elements behind the last tensor aren't read.
inline Array logits(const ModelConfig& config, const Values& weights, const std::vector<int32_t>& ids, int64_t length) {
  const int64_t C = config.channels;
  const bool neox = config.architecture == "gpt_neox", attention_bias = !neox || config.attention_bias;
  Layers layers(weights, config.bias);
  const Array wte = layers.matrix(config.vocabulary, C), wpe = neox ? Array(length, C) : layers.matrix(config.context, C);
  Array x = embed(ids, length, wte, wpe);
  for (int64_t l = 0; l < config.layers; ++l) {
    const double divisor = config.scale_attention_by_layer ? static_cast<double>(l + 1) : 1;
    const double scale = 1 / (std::sqrt(static_cast<double>(C / config.heads)) * divisor);
    const AttentionShape shape{config.heads, length, scale, neox};
    const Array before = x;
    Array qkv = layers.affine(layers.norm(x), 3 * C, attention_bias);
    if (neox) qkv = rotated(shape, {static_cast<int64_t>(config.rotary_fraction * static_cast<double>(C / config.heads)), config.rotary_base}, qkv);
    x = sum(x, layers.affine(attention(shape, qkv).y, C, attention_bias));
    Array g = layers.affine(layers.norm(neox && config.parallel_residual ? before : x), 4 * C);
    for (double& value : g.values) value = config.gelu == "erf" ? gelu_erf(value) : gelu_tanh(value);
    x = sum(x, layers.affine(g, C));
  }
  const Array h = layers.norm(x);
  return product(h, false, config.tied ? wte : layers.matrix(config.vocabulary, C), true);
}

}  // namespace lawa::reference
