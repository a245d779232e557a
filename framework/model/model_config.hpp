// The shape of a GPT-2, with the paper's switches.
#pragma once
#include "core/config.hpp"

namespace lawa {

struct ModelConfig {
  std::string architecture = "gpt2";
  int64_t layers = 12, heads = 12, channels = 768, context = 1024, vocabulary = 50304;
  bool bias = false, scale_attention_by_layer = true;
  std::string gelu = "tanh";
};

template <class Visitor>
void visit(ModelConfig& c, Visitor&& v) {
  v("architecture", c.architecture, "gpt2", one_of({"gpt2"}));
  v("layers", c.layers, "transformer blocks L", between(1, 10000));
  v("heads", c.heads, "attention heads H", between(1, 100000));
  v("channels", c.channels, "channels C, a multiple of heads", between(1, 1 << 20));
  v("context", c.context, "tokens of a sequence T", between(1, 1 << 24));
  v("vocabulary", c.vocabulary, "rows of the token embedding V; token ids are below it", between(1, 65536));
  v("bias", c.bias, "biases in Linear and LayerNorm");
  v("scale_attention_by_layer", c.scale_attention_by_layer, "attention logits are divided by layer index + 1 as well");
  v("gelu", c.gelu, "tanh (GPT-2's approximation) or erf (exact)", one_of({"tanh", "erf"}));
}
/// Errors: channels that don't split into heads.
inline void check(const ModelConfig& c, const ConfigSource& source) {
  LAWA_CHECK(c.channels % c.heads == 0, "model.channels", source.where("model.channels"), ": ", c.channels,
             " is not a multiple of model.heads", source.where("model.heads"), " = ", c.heads);
}

/// Floating-point operations of one token's forward and backward, as the field counts them (Chowdhery et al. 2022, PaLM):
/// 6 per weight of a matrix product (the head's included, wpe not), and 12 L C T for the attention.
inline double flops_per_token(const ModelConfig& c) {
  const auto L = static_cast<double>(c.layers), C = static_cast<double>(c.channels);
  return 6 * (L * 12 * C * C + static_cast<double>(c.vocabulary) * C) + 12 * L * C * static_cast<double>(c.context);
}

}  // namespace lawa
