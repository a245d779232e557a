// The shape of a decoder-only transformer: GPT-2 with the paper's switches, or GPT-NeoX, which Pythia is.
#pragma once
#include "core/config.hpp"

namespace lawa {

/// The switches that only GPT-NeoX has hold its defaults, and mean nothing to GPT-2: ask the functions below.
struct ModelConfig {
  std::string architecture = "gpt2";
  int64_t layers = 12, heads = 12, channels = 768, context = 1024, vocabulary = 50304;
  bool bias = false, attention_bias = true, scale_attention_by_layer = true, tied = true, parallel_residual = true;
  std::string gelu = "tanh";
  double rotary_fraction = 0.25, rotary_base = 10000;
};

inline bool is_gpt_neox(const ModelConfig& c) { return c.architecture == "gpt_neox"; }
/// What people call it.
inline const char* title(const ModelConfig& c) { return is_gpt_neox(c) ? "GPT-NeoX" : "GPT-2"; }

/// Gives the switches that both architectures have the values of this one: the paper's GPT-2, or Pythia.
inline void become(ModelConfig& c, const std::string& architecture) {
  c.architecture = architecture;
  const bool neox = is_gpt_neox(c);
  c.bias = neox;
  c.scale_attention_by_layer = c.tied = !neox;
  c.gelu = neox ? "erf" : "tanh";
}
/// What an architecture is unless a config says otherwise.
inline ModelConfig defaults_of(const std::string& architecture) {
  ModelConfig c;
  become(c, architecture);
  return c;
}

template <class Visitor>
void visit(ModelConfig& c, Visitor&& v) {
  const std::string before = c.architecture;
  v("architecture", c.architecture, "gpt2, or gpt_neox (Pythia)", one_of({"gpt2", "gpt_neox"}));
  if (c.architecture != before) become(c, c.architecture);
  const bool neox = is_gpt_neox(c);
  const auto neox_alone = [&](const Limit& limit = {}) { return only_with("model.architecture = \"gpt_neox\"", neox, limit); };
  v("layers", c.layers, "transformer blocks L", between(1, 10000));
  v("heads", c.heads, "attention heads H", between(1, 100000));
  v("channels", c.channels, "channels C, a multiple of heads", between(1, 1 << 20));
  v("context", c.context, "tokens of a sequence T", between(1, 1 << 24));
  v("vocabulary", c.vocabulary, "rows of the token embedding V; token ids are below it", between(1, 1 << 24));
  v("bias", c.bias, "biases in Linear and LayerNorm; gpt_neox: true");
  v("scale_attention_by_layer", c.scale_attention_by_layer, "attention logits are divided by layer index + 1 as well; gpt_neox: false");
  v("gelu", c.gelu, "tanh (GPT-2's approximation) or erf (exact); gpt_neox: erf", one_of({"tanh", "erf"}));
  v("tied", c.tied, "the logits come from the token embedding, not from a matrix of their own; gpt_neox: false", unsaid_where(!neox && c.tied));
  v("attention_bias", c.attention_bias, "of the biases, those of the attention's Linear too", neox_alone());
  v("parallel_residual", c.parallel_residual, "attention and MLP read the same residual, x + attention + MLP; else one after the other", neox_alone());
  v("rotary_fraction", c.rotary_fraction, "part of each head's channels that positions turn", neox_alone(between(0, 1)));
  v("rotary_base", c.rotary_base, "of the turns' angles, position / base^(2i/n) for the i-th pair of n channels", neox_alone(positive()));
}

/// Positions have an embedding that is learned; else they turn queries and keys.
inline bool learns_positions(const ModelConfig& c) { return !is_gpt_neox(c); }
/// Attention and MLP read the same residual.
inline bool is_parallel(const ModelConfig& c) { return is_gpt_neox(c) && c.parallel_residual; }
/// Channels of each head that positions turn: the first ones. Rounded down, as transformers does.
inline int64_t rotary_width(const ModelConfig& c) {
  return is_gpt_neox(c) ? static_cast<int64_t>(static_cast<double>(c.channels / c.heads) * c.rotary_fraction) : 0;
}

/// Errors: channels that don't split into heads; an odd number of channels to turn, which are turned in pairs.
inline void check(const ModelConfig& c, const ConfigSource& source) {
  LAWA_CHECK(c.channels % c.heads == 0, "model.channels", source.where("model.channels"), ": ", c.channels,
             " is not a multiple of model.heads", source.where("model.heads"), " = ", c.heads);
  LAWA_CHECK(rotary_width(c) % 2 == 0, "model.rotary_fraction", source.where("model.rotary_fraction"), ": ", detail::to_toml(c.rotary_fraction),
             " of a head's ", c.channels / c.heads, " channels are ", rotary_width(c), ", and positions turn pairs: it must be even");
}

/// Floating-point operations of one token's forward and backward, as the field counts them (Chowdhery et al. 2022, PaLM):
/// 6 per weight of a matrix product (the head's included, embeddings not), and 12 L C T for the attention.
inline double flops_per_token(const ModelConfig& c) {
  const auto L = static_cast<double>(c.layers), C = static_cast<double>(c.channels);
  return 6 * (L * 12 * C * C + static_cast<double>(c.vocabulary) * C) + 12 * L * C * static_cast<double>(c.context);
}

}  // namespace lawa
