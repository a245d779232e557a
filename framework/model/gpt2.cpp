// N = B*T rows, C channels, V vocabulary. One operation a line; the backward is the same lines, read upwards.
#include "model/gpt2.hpp"

#include <algorithm>
#include <cmath>

#include "ops/gemm.hpp"
#include "tensor/cursor.hpp"

namespace lawa {
namespace {

constexpr int64_t head_rows = 512;  // rows whose logits exist at a time: N x V is never stored
constexpr int64_t alignment = 16;   // elements; 64 bytes, a cache line

Tokens flat(const Matrix<int32_t>& ids) { return Tokens(ids.data(), ids.size()); }

/// f(rows) for consecutive ranges that cover 0..n-1.
template <class F>
void for_each_rows(int64_t n, F&& f) {
  for (int64_t begin = 0; begin < n; begin += head_rows) f(Range{begin, std::min(begin + head_rows, n)});
}

}  // namespace

Gpt2::Activations Gpt2::map_activations(const Gpt2Config& config, int64_t sequences, int64_t length, Purpose purpose, Cursor& at) {
  const int64_t N = sequences * length, C = config.channels, tile = std::min(length, attention_tile);
  const auto statistics = [&] {
    const Vector<float> mean = at.vector(N);
    return NormStatistics{mean, at.vector(N)};
  };
  const auto room = [&] {
    BlockActivations b;
    b.s1 = statistics();
    b.h1 = at.matrix(N, C);
    b.qkv = at.matrix(N, 3 * C);
    b.log_sum = at.matrix(sequences * config.heads, length);
    b.y = at.matrix(N, C);
    b.x1 = at.matrix(N, C);
    b.s2 = statistics();
    b.h2 = at.matrix(N, C);
    b.f = at.matrix(N, 4 * C);
    b.g = at.matrix(N, 4 * C);
    return b;
  };
  Activations a;
  for (int64_t l = 0; l < config.layers; ++l) {
    a.blocks.push_back(l == 0 || purpose == Purpose::training ? room() : a.blocks[0]);  // else every block works in the same room
    if (l == 0 || purpose != Purpose::evaluation) a.blocks.back().x = at.matrix(N, C);
  }
  a.x = purpose == Purpose::evaluation ? a.blocks[0].x : at.matrix(N, C);
  a.s = statistics();
  a.h = at.matrix(N, C);
  a.z = at.matrix(std::min(N, head_rows), config.vocabulary);
  a.tile_a = at.matrix(tile, length);
  if (purpose == Purpose::evaluation) return a;
  a.tile_b = at.matrix(tile, length);
  a.dx = at.matrix(N, C);
  a.dh = at.matrix(N, C);
  a.dr = at.matrix(N, C);
  a.dqkv = at.matrix(N, 3 * C);
  a.df = at.matrix(N, 4 * C);
  return a;
}

int64_t Gpt2::activation_bytes(const Gpt2Config& config, int64_t sequences, Purpose purpose) {
  Cursor measure(nullptr, alignment);
  map_activations(config, sequences, config.context, purpose, measure);
  return measure.used() * static_cast<int64_t>(sizeof(float));
}

Gpt2::Gpt2(const Gpt2Config& config, int64_t sequences, int64_t flat_size, Purpose purpose, Precision precision)
    : config_(config),
      sequences_(sequences),
      purpose_(purpose),
      precision_(precision),
      gelu_(config.gelu == "erf" ? Gelu::erf : Gelu::tanh),
      weights_(zeros<float>("lawa::weights", flat_size)),
      gradients_(zeros<float>("lawa::gradients", purpose == Purpose::evaluation ? 0 : flat_size)),
      store_(uninitialised<float>("lawa::activations",
                                  activation_bytes(config, sequences, purpose) / static_cast<int64_t>(sizeof(float)))),
      w_(gpt2_tensors(config, weights_, precision)) {
  if (purpose != Purpose::evaluation) dw_ = gpt2_tensors(config, gradients_);
}

void Gpt2::reserve(const Matrix<int32_t>& inputs) {
  const int64_t B = rows(inputs), T = columns(inputs);
  LAWA_CHECK(B > 0 && B <= sequences_ && T > 0 && T <= config_.context, "a batch of ", B, " sequences of ", T,
             " tokens for a model with room for ", sequences_, " of ", config_.context);
  if (B == mapped_sequences_ && T == mapped_length_) return;
  Cursor at(store_.data(), alignment);
  a_ = map_activations(config_, B, T, purpose_, at);
  mapped_sequences_ = B;
  mapped_length_ = T;
}

Attention Gpt2::attention(int64_t layer, int64_t length) const {
  const double D = static_cast<double>(config_.channels / config_.heads);
  const double divisor = config_.scale_attention_by_layer ? static_cast<double>(layer + 1) : 1;
  return {config_.heads, length, static_cast<float>(1 / (std::sqrt(D) * divisor)), a_.tile_a, a_.tile_b, precision_};
}

void Gpt2::forward(const Exec& exec, const Matrix<int32_t>& inputs) {
  reserve(inputs);
  const int64_t T = columns(inputs), L = config_.layers;
  embed(exec, flat(inputs), T, w_.wte, w_.wpe, a_.blocks[0].x);    // x = wte[token] + wpe[position]
  for (int64_t l = 0; l < L; ++l) {
    const auto& a = a_.blocks[static_cast<size_t>(l)];
    const auto& w = w_.blocks[static_cast<size_t>(l)];
    const auto& x_next = l + 1 < L ? a_.blocks[static_cast<size_t>(l + 1)].x : a_.x;
    inside_block(exec, l, T);
    affine(exec, a.g, w.mlp_c_proj, x_next);                       // x'  = x1 + g W^T + b
    add(exec, a.x1, x_next, x_next);
  }
  norm(exec, a_.x, w_.ln_f, a_.s, a_.h);                           // h   = norm(x)
}

void Gpt2::inside_block(const Exec& exec, int64_t layer, int64_t length) {
  const auto& a = a_.blocks[static_cast<size_t>(layer)];
  const auto& w = w_.blocks[static_cast<size_t>(layer)];
  norm(exec, a.x, w.ln_1, a.s1, a.h1);                             // h1  = norm(x)
  affine(exec, a.h1, w.c_attn, a.qkv);                             // qkv = h1 W^T + b
  attend(exec, attention(layer, length), a.qkv, a.log_sum, a.y);   // y   = softmax(scale q k^T) v
  affine(exec, a.y, w.attn_c_proj, a.x1);                          // x1  = x + y W^T + b
  add(exec, a.x, a.x1, a.x1);
  norm(exec, a.x1, w.ln_2, a.s2, a.h2);                            // h2  = norm(x1)
  affine(exec, a.h2, w.c_fc, a.f);                                 // f   = h2 W^T + b
  gelu(exec, gelu_, a.f, a.g);                                     // g   = gelu(f)
}

double Gpt2::head(const Exec& exec, const Tokens& targets) {
  double loss = 0;
  for_each_rows(rows(a_.h), [&](Range some) {
    const Matrix<float> h = slice(a_.h, some), z = slice(a_.z, {0, some.size()});
    gemm(exec, 1, block(h), Transpose::no, block(w_.wte), Transpose::yes, 0, block(z), precision_);  // z = h wte^T
    loss += cross_entropy(exec, z, slice(targets, some));
  });
  return loss;
}

double Gpt2::head_backward(const Exec& exec, const Tokens& targets, double scale) {
  double loss = 0;
  for_each_rows(rows(a_.h), [&](Range some) {
    const Matrix<float> h = slice(a_.h, some), z = slice(a_.z, {0, some.size()}), dh = slice(a_.dh, some);
    gemm(exec, 1, block(h), Transpose::no, block(w_.wte), Transpose::yes, 0, block(z), precision_);   // z = h wte^T
    loss += cross_entropy_backward(exec, z, slice(targets, some), scale);                              // z is dz now
    gemm(exec, 1, block(z), Transpose::yes, block(h), Transpose::no, 1, block(dw_.wte), precision_);   // dwte += dz^T h
    gemm(exec, 1, block(z), Transpose::no, block(w_.wte), Transpose::no, 0, block(dh), precision_);    // dh = dz wte
  });
  return loss;
}

void Gpt2::block_backward(const Exec& exec, int64_t layer, int64_t length) {
  const auto& a = a_.blocks[static_cast<size_t>(layer)];
  const auto& w = w_.blocks[static_cast<size_t>(layer)];
  const auto& dw = dw_.blocks[static_cast<size_t>(layer)];
  const auto &dx = a_.dx, &dh = a_.dh, &dr = a_.dr, &df = a_.df;
  if (purpose_ == Purpose::recompute && layer + 1 < config_.layers) inside_block(exec, layer, length);  // the last one is still there
  affine_backward(exec, a.g, w.mlp_c_proj, dx, df, dw.mlp_c_proj);
  gelu_backward(exec, gelu_, a.f, df, df);
  affine_backward(exec, a.h2, w.c_fc, df, dh, dw.c_fc);
  norm_backward(exec, a.x1, w.ln_2, a.s2, dh, dr, dw.ln_2);
  add(exec, dx, dr, dx);
  affine_backward(exec, a.y, w.attn_c_proj, dx, dh, dw.attn_c_proj);
  attend_backward(exec, attention(layer, length), a.qkv, a.log_sum, a.y, dh, a_.dqkv);
  affine_backward(exec, a.h1, w.c_attn, a_.dqkv, dh, dw.c_attn);
  norm_backward(exec, a.x, w.ln_1, a.s1, dh, dr, dw.ln_1);
  add(exec, dx, dr, dx);
}

double Gpt2::forward_backward(const Exec& exec, const TokenBatch& batch, double scale, const Finished& finished) {
  LAWA_CHECK(purpose_ != Purpose::evaluation, "this model was made for evaluation");
  const auto done = [&](Range range) { if (finished) finished(range); };
  const int64_t T = columns(batch.inputs);
  forward(exec, batch.inputs);
  const double loss = head_backward(exec, flat(batch.targets), scale);
  norm_backward(exec, a_.x, w_.ln_f, a_.s, a_.dh, a_.dx, dw_.ln_f);
  done({w_.blocks.back().range.end, w_.size});
  for (int64_t l = config_.layers - 1; l >= 0; --l) {
    block_backward(exec, l, T);
    done(w_.blocks[static_cast<size_t>(l)].range);
  }
  embed_backward(exec, flat(batch.inputs), T, a_.dx, dw_.wte, dw_.wpe);
  done({0, w_.blocks.front().range.begin});
  return loss;
}

double Gpt2::loss(const Exec& exec, const TokenBatch& batch) {
  forward(exec, batch.inputs);
  return head(exec, flat(batch.targets));
}

void Gpt2::logits(const Exec& exec, const Matrix<int32_t>& inputs, const Matrix<float>& z) {
  forward(exec, inputs);
  gemm(exec, 1, block(a_.h), Transpose::no, block(w_.wte), Transpose::yes, 0, block(z), precision_);
}

}  // namespace lawa
