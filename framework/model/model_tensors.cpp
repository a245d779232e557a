#include "model/model_tensors.hpp"

#include <cmath>

#include "tensor/cursor.hpp"

namespace lawa {
namespace {

/// Maps tensors of a buffer and writes their table: the one walk below serves both.
template <class S>
struct Walk {
  Cursor cursor;
  ParameterTable table;
  bool bias, decay_embeddings;

  Matrix<S> matrix(const std::string& name, int64_t n, int64_t m, bool decay, double deviation) {
    table.add({.name = name + ".weight", .shape = {n, m}, .decay = decay, .deviation = deviation});
    return cursor.matrix<S>(n, m);
  }
  Vector<S> vector(const std::string& name, int64_t n, double value) {
    table.add({.name = name, .shape = {n}, .mean = value});
    return cursor.vector<S>(n);
  }
  Vector<S> optional_bias(const std::string& name, int64_t n) {
    return bias ? vector(name + ".bias", n, 0) : Vector<S>();
  }
  Matrix<S> embedding(const std::string& name, int64_t n, int64_t m) { return matrix(name, n, m, decay_embeddings, 0.02); }
  Norm<S> norm(const std::string& name, int64_t n) {
    const Vector<S> weight = vector(name + ".weight", n, 1);
    return {weight, optional_bias(name, n)};
  }
  Affine<S> affine(const std::string& name, int64_t out, int64_t in, double deviation) {
    const Matrix<S> weight = matrix(name, out, in, true, deviation);
    return {weight, optional_bias(name, out)};
  }
};

/// The layout of a GPT-2, written once: the order of these lines is the order of the file.
template <class S>
ModelTensors<S> walk(const ModelConfig& config, Walk<S>& w) {
  const int64_t C = config.channels;
  const double usual = 0.02, residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config.layers));
  ModelTensors<S> t;
  t.wte = w.embedding("wte", config.vocabulary, C);
  t.wpe = w.embedding("wpe", config.context, C);
  w.table.end_group();
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string h = "h." + std::to_string(l) + ".";
    const int64_t begin = w.table.size();
    BlockTensors<S> b;
    b.ln_1 = w.norm(h + "ln_1", C);
    b.c_attn = w.affine(h + "attn.c_attn", 3 * C, C, usual);
    b.attn_c_proj = w.affine(h + "attn.c_proj", C, C, residual);
    b.ln_2 = w.norm(h + "ln_2", C);
    b.c_fc = w.affine(h + "mlp.c_fc", 4 * C, C, usual);
    b.mlp_c_proj = w.affine(h + "mlp.c_proj", C, 4 * C, residual);
    b.range = {begin, w.table.size()};
    w.table.end_group();
    t.blocks.push_back(b);
  }
  t.ln_f = w.norm("ln_f", C);
  t.size = w.table.size();
  return t;
}

}  // namespace

ParameterTable model_parameters(const ModelConfig& config, bool decay_embeddings) {
  Walk<float> w{.cursor = {}, .table = {}, .bias = config.bias, .decay_embeddings = decay_embeddings};
  walk(config, w);
  return w.table;
}

template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer) {
  Walk<S> w{.cursor = Cursor(buffer.data()), .table = {}, .bias = config.bias, .decay_embeddings = false};
  ModelTensors<S> tensors = walk(config, w);
  LAWA_CHECK(tensors.size <= rows(buffer), "a buffer of ", rows(buffer), " elements for ", tensors.size, " weights");
  return tensors;
}

template ModelTensors<float> model_tensors(const ModelConfig&, const Vector<float>&);
template ModelTensors<bf16> model_tensors(const ModelConfig&, const Vector<bf16>&);

}  // namespace lawa
