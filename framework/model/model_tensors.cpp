#include "model/model_tensors.hpp"

#include <cmath>

#include "tensor/cursor.hpp"

namespace lawa {
namespace {

/// Maps tensors of a buffer and writes their table: the one walk below serves both.
template <class S>
struct Walk {
  ParameterTable table;
  bool bias = false, decay_embeddings = false;
  S* buffer = nullptr;
  const GroupPlaces* groups = nullptr;
  Cursor cursor{};

  void begin_group() {
    if (groups != nullptr) cursor = Cursor(buffer + groups->places[table.group_ends().size()].begin);
  }

  Matrix<S> matrix(const std::string& name, int64_t n, int64_t m, bool decay, double deviation) {
    table.add({.name = name + ".weight", .shape = {n, m}, .decay = decay, .deviation = deviation});
    return cursor.matrix<S>(n, m);
  }
  Vector<S> vector(const std::string& name, int64_t n, double value) {
    table.add({.name = name, .shape = {n}, .mean = value});
    return cursor.vector<S>(n);
  }
  Vector<S> optional_bias(const std::string& name, int64_t n, bool wanted = true) {
    return bias && wanted ? vector(name + ".bias", n, 0) : Vector<S>();
  }
  Norm<S> norm(const std::string& name, int64_t n) {
    const Vector<S> weight = vector(name + ".weight", n, 1);
    return {weight, optional_bias(name, n)};
  }
  Affine<S> affine(const std::string& name, int64_t out, int64_t in, double deviation, bool biased = true) {
    const Matrix<S> weight = matrix(name, out, in, true, deviation);
    return {weight, optional_bias(name, out, biased)};
  }
};

/// What an architecture calls its tensors, and the deviations that they begin with.
struct Convention {
  std::string wte, wpe, blocks, ln_1, c_attn, attn_c_proj, ln_2, c_fc, mlp_c_proj, ln_f, head;
  double usual = 0, residual = 0;
};
Convention convention_of(const ModelConfig& config) {
  const auto L = static_cast<double>(config.layers), C = static_cast<double>(config.channels);
  if (is_gpt_neox(config))
    return {"gpt_neox.embed_in", "", "gpt_neox.layers.", "input_layernorm", "attention.query_key_value", "attention.dense", "post_attention_layernorm",
            "mlp.dense_h_to_4h", "mlp.dense_4h_to_h", "gpt_neox.final_layer_norm", "embed_out", std::sqrt(2 / (5 * C)), 2 / (L * std::sqrt(C))};
  return {"wte", "wpe", "h.", "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj", "ln_f", "lm_head", 0.02, 0.02 / std::sqrt(2 * L)};
}

/// The layout, written once: the order of these lines is the order of the file.
template <class S>
ModelTensors<S> walk(const ModelConfig& config, Walk<S>& w) {
  const Convention is = convention_of(config);
  const int64_t C = config.channels, V = config.vocabulary;
  const bool attention_bias = !is_gpt_neox(config) || config.attention_bias;
  ModelTensors<S> t;
  w.begin_group();
  t.wte = w.matrix(is.wte, V, C, w.decay_embeddings, is.usual);
  if (learns_positions(config)) t.wpe = w.matrix(is.wpe, config.context, C, w.decay_embeddings, is.usual);
  w.table.end_group();
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string h = is.blocks + std::to_string(l) + ".";
    const int64_t begin = w.table.size();
    BlockTensors<S> b;
    w.begin_group();
    b.ln_1 = w.norm(h + is.ln_1, C);
    b.c_attn = w.affine(h + is.c_attn, 3 * C, C, is.usual, attention_bias);
    b.attn_c_proj = w.affine(h + is.attn_c_proj, C, C, is.residual, attention_bias);
    b.ln_2 = w.norm(h + is.ln_2, C);
    b.c_fc = w.affine(h + is.c_fc, 4 * C, C, is.usual);
    b.mlp_c_proj = w.affine(h + is.mlp_c_proj, C, 4 * C, is.residual);
    b.range = {begin, w.table.size()};
    w.table.end_group();
    t.blocks.push_back(b);
  }
  w.begin_group();
  t.ln_f = w.norm(is.ln_f, C);
  t.head = config.tied ? t.wte : w.matrix(is.head, V, C, true, is.usual);
  t.size = w.table.size();
  return t;
}

}  // namespace

ParameterTable model_parameters(const ModelConfig& config, bool decay_embeddings) {
  Walk<float> w{.table = {}, .bias = config.bias, .decay_embeddings = decay_embeddings};
  walk(config, w);
  return w.table;
}

template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer, const GroupPlaces& groups) {
  LAWA_CHECK(groups.size <= rows(buffer), "a buffer of ", rows(buffer), " elements for ", groups.size, " weights");
  Walk<S> w{.table = {}, .bias = config.bias, .buffer = buffer.data(), .groups = &groups};
  return walk(config, w);
}
template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer) {
  return model_tensors(config, buffer, resident_places(model_parameters(config), rows(buffer)));
}

template ModelTensors<float> model_tensors(const ModelConfig&, const Vector<float>&, const GroupPlaces&);
template ModelTensors<bf16> model_tensors(const ModelConfig&, const Vector<bf16>&, const GroupPlaces&);
template ModelTensors<float> model_tensors(const ModelConfig&, const Vector<float>&);
template ModelTensors<bf16> model_tensors(const ModelConfig&, const Vector<bf16>&);

}  // namespace lawa
