// N = B*T rows, C channels, V vocabulary. One operation a line; the backward is the same lines, read upwards.
#include "model/transformer.hpp"

#include <algorithm>
#include <cmath>

#include "ops/gemm.hpp"

namespace lawa {
namespace {

/// Rows whose logits exist at a time: N x V is never stored. For each such part the head's whole gradient is read and written, which on a
/// device is the slow half of the product: parts are larger there.
constexpr int64_t head_rows = kernels_run_at_once ? 512 : 8192;
constexpr int64_t alignment = 64;   // bytes, a cache line

Tokens flat(const Matrix<int32_t>& ids) { return Tokens(ids.data(), ids.size()); }
HostVector<int32_t> ids_of(const TokenBatch& batch) {
  return batch.ids.size() > 0 ? HostVector<int32_t>(batch.ids.data(), batch.ids.size()) : on_host(flat(batch.inputs));
}

/// f(rows) for consecutive ranges that cover 0..n-1.
template <class F>
void for_each_rows(int64_t n, F&& f) {
  for (int64_t begin = 0; begin < n; begin += head_rows) f(Range{begin, std::min(begin + head_rows, n)});
}

}  // namespace

template <class S>
auto Transformer<S>::map_activations(const ModelConfig& config, int64_t sequences, int64_t length, Purpose purpose, Cursor& at) -> Activations {
  const int64_t N = sequences * length, C = config.channels, V = config.vocabulary;
  const bool backward = purpose != Purpose::evaluation;
  const auto statistics = [&] {
    const auto mean = at.vector<float>(N);
    return NormStatistics{mean, at.vector<float>(N)};
  };
  Activations a;
  for (int64_t l = 0; l < config.layers; ++l) {
    BlockActivations b = l == 0 ? BlockActivations() : a.blocks[0];  // what a block doesn't keep is in the first one's room
    if (l == 0 || backward) b.x = at.matrix<float>(N, C);
    if (l == 0 || purpose == Purpose::training) {
      b.s1 = statistics();
      b.h1 = at.matrix<S>(N, C);
      b.qkv = at.matrix<S>(N, 3 * C);
      b.log_sum = at.matrix<float>(sequences * config.heads, length);
      b.y = at.matrix<S>(N, C);
    }
    if (l == 0 || (backward && !is_parallel(config) && purpose != Purpose::recompute_block)) b.x1 = at.matrix<float>(N, C);
    if (l == 0 || purpose == Purpose::training || purpose == Purpose::recompute_attention) {
      b.s2 = statistics();
      b.h2 = at.matrix<S>(N, C);
      b.f = at.matrix<S>(N, 4 * C);
      b.g = at.matrix<S>(N, 4 * C);
    }
    a.blocks.push_back(b);
  }
  a.x = backward ? at.matrix<float>(N, C) : a.blocks[0].x;
  a.s = statistics();
  a.losses = at.vector<double>(N);
  a.h = at.matrix<S>(N, C);
  a.z = at.matrix<float>(std::min(N, head_rows), V);
  a.attention = AttentionRoom<S>::map(at, length, C / config.heads, backward);
  if (!backward) return a;
  a.dx = at.matrix<float>(N, C);
  if constexpr (std::is_same_v<S, float>) {
    a.dz = a.z;
    a.dr = a.dx;
  } else {
    a.dz = at.matrix<S>(std::min(N, head_rows), V);
    a.dr = at.matrix<S>(N, C);
  }
  a.dh = at.matrix<S>(N, C);
  a.dqkv = at.matrix<S>(N, 3 * C);
  a.df = at.matrix<S>(N, 4 * C);
  return a;
}

template <class S>
int64_t Transformer<S>::activation_bytes(const ModelConfig& config, int64_t sequences, Purpose purpose) {
  Cursor measure(nullptr, alignment);
  map_activations(config, sequences, config.context, purpose, measure);
  return measure.used();
}

template <class S>
Transformer<S>::Transformer(const ModelConfig& config, int64_t sequences, int64_t flat_size, Purpose purpose)
    : Transformer(config, sequences, resident_places(model_parameters(config), flat_size), purpose) {}

template <class S>
Transformer<S>::Transformer(const ModelConfig& config, int64_t sequences, const GroupPlaces& groups, Purpose purpose, Fetch fetch)
    : config_(config),
      sequences_(sequences),
      purpose_(purpose),
      gelu_(config.gelu == "erf" ? Gelu::erf : Gelu::tanh),
      rotary_(make_rotary(config.context, rotary_width(config), config.rotary_base)),
      groups_(groups),
      fetch_(std::move(fetch)),
      weights_(zeros<S>("lawa::weights", groups.size)),
      gradients_(zeros<float>("lawa::gradients", purpose == Purpose::evaluation ? 0 : groups.size)),
      store_(uninitialised<char>("lawa::activations", activation_bytes(config, sequences, purpose))),
      w_(model_tensors(config, weights_, groups)) {
  if (purpose != Purpose::evaluation) dw_ = model_tensors(config, gradients_, groups);
}

template <class S>
void Transformer<S>::reserve(const Matrix<int32_t>& inputs) {
  const int64_t B = rows(inputs), T = columns(inputs);
  LAWA_CHECK(B > 0 && B <= sequences_ && T > 0 && T <= config_.context, "a batch of ", B, " sequences of ", T,
             " tokens for a model with room for ", sequences_, " of ", config_.context);
  if (B == mapped_sequences_ && T == mapped_length_) return;
  Cursor at(store_.data(), alignment);
  a_ = map_activations(config_, B, T, purpose_, at);
  LAWA_CHECK(at.used() <= rows(store_), B, " sequences of ", T, " tokens need ", at.used(), " bytes, more than the ", rows(store_), " of ", sequences_,
             " sequences of ", config_.context, ": the attention of short ones works in tiles, which take room");
  mapped_sequences_ = B;
  mapped_length_ = T;
}

template <class S>
Attention<S> Transformer<S>::attention(int64_t layer, int64_t length) const {
  const double D = static_cast<double>(config_.channels / config_.heads);
  const double divisor = config_.scale_attention_by_layer ? static_cast<double>(layer + 1) : 1;
  return {config_.heads, length, static_cast<float>(1 / (std::sqrt(D) * divisor)), a_.attention,
          is_gpt_neox(config_) ? QkvOrder::heads : QkvOrder::parts};
}

template <class S>
void Transformer<S>::fetch(const Exec& exec, int64_t group) const {
  if (fetch_) fetch_(exec, group);
}

template <class S>
void Transformer<S>::forward(const Exec& exec, const Matrix<int32_t>& inputs) {
  reserve(inputs);
  const int64_t T = columns(inputs), L = config_.layers;
  fetch(exec, 0);
  embed(exec, flat(inputs), T, w_.wte, w_.wpe, a_.blocks[0].x);    // x   = wte[token] (+ wpe[position])
  for (int64_t l = 0; l < L; ++l) {
    const auto& a = a_.blocks[static_cast<size_t>(l)];
    const auto& w = w_.blocks[static_cast<size_t>(l)];
    const auto& x_next = l + 1 < L ? a_.blocks[static_cast<size_t>(l + 1)].x : a_.x;
    fetch(exec, 1 + l);
    attention_half(exec, l, T);
    mlp_half(exec, l);
    affine_add(exec, a.g, w.mlp_c_proj, a.x1, x_next);             // x'  = x1 + g W^T + b
  }
  fetch(exec, 1 + L);
  norm(exec, a_.x, w_.ln_f, a_.s, a_.h);                           // h   = norm(x)
}

template <class S>
void Transformer<S>::attention_half(const Exec& exec, int64_t layer, int64_t length) {
  const auto& a = a_.blocks[static_cast<size_t>(layer)];
  const auto& w = w_.blocks[static_cast<size_t>(layer)];
  const Attention<S> shape = attention(layer, length);
  norm(exec, a.x, w.ln_1, a.s1, a.h1);                             // h1  = norm(x)
  affine(exec, a.h1, w.c_attn, a.qkv);                             // qkv = h1 W^T + b
  rotate(exec, rotary_, Turn::forward, shape, a.qkv);              // q, k turned by their positions (GPT-NeoX)
  attend(exec, shape, a.qkv, a.log_sum, a.y);                      // y   = softmax(scale q k^T) v
}

template <class S>
void Transformer<S>::mlp_half(const Exec& exec, int64_t layer) {
  const auto& a = a_.blocks[static_cast<size_t>(layer)];
  const auto& w = w_.blocks[static_cast<size_t>(layer)];
  affine_add(exec, a.y, w.attn_c_proj, a.x, a.x1);                 // x1  = x + y W^T + b
  norm(exec, is_parallel(config_) ? a.x : a.x1, w.ln_2, a.s2, a.h2);  // h2  = norm(x1), or norm(x) where both halves begin from x
  affine_gelu(exec, a.h2, w.c_fc, gelu_, a.f, a.g);                // f   = h2 W^T + b, g = gelu(f)
}

template <class S>
void Transformer<S>::head(const Exec& exec, const Tokens& targets) {
  for_each_rows(rows(a_.h), [&](Range some) {
    const auto h = slice(a_.h, some);
    const auto z = slice(a_.z, {0, some.size()});
    gemm(exec, 1, block(h), Transpose::no, block(w_.head), Transpose::yes, 0, block(z));  // z = h W^T
    cross_entropy(exec, z, slice(targets, some), slice(a_.losses, some));
  });
}

/// What head() or head_backward() has left; waits for it.
template <class S>
double Transformer<S>::summed_losses() const {
  const HostVector<double> losses = on_host(a_.losses);
  double sum = 0;
  for_each_rows(rows(a_.h), [&](Range some) {
    double part = 0;
    for (int64_t n = some.begin; n < some.end; ++n) part += losses(static_cast<size_t>(n));
    sum += part;
  });
  return sum;
}

/// Zeroes the gradients that kernels add to, and that no product overwrites; wte's is the head's product first, where they are tied.
template <class S>
void Transformer<S>::clear_rest(const Exec& exec) {
  const auto clear = [&](const auto&... gradients) { (Kokkos::deep_copy(exec, gradients, 0.0f), ...); };
  clear(dw_.wpe, dw_.ln_f.weight, dw_.ln_f.bias);
  if (!config_.tied) clear(dw_.wte);
}
template <class S>
void Transformer<S>::clear_block(const Exec& exec, int64_t layer) {
  const auto& b = dw_.blocks[static_cast<size_t>(layer)];
  for (const Vector<float>& vector : {b.ln_1.weight, b.ln_1.bias, b.c_attn.bias, b.attn_c_proj.bias, b.ln_2.weight, b.ln_2.bias, b.c_fc.bias, b.mlp_c_proj.bias})
    fill(exec, vector, 0.0f);
}

template <class S>
void Transformer<S>::head_backward(const Exec& exec, const Tokens& targets, double scale, float kept) {
  for_each_rows(rows(a_.h), [&](Range some) {
    const auto h = slice(a_.h, some), dh = slice(a_.dh, some), dz = slice(a_.dz, {0, some.size()});
    const auto z = slice(a_.z, {0, some.size()});
    gemm(exec, 1, block(h), Transpose::no, block(w_.head), Transpose::yes, 0, block(z));      // z = h W^T
    cross_entropy_backward(exec, z, slice(targets, some), scale, slice(a_.losses, some), dz);
    const float factor = some.begin == 0 ? kept : 1;
    gemm(exec, 1, block(dz), Transpose::yes, block(h), Transpose::no, factor, block(dw_.head));  // dW += dz^T h
    gemm(exec, 1, block(dz), Transpose::no, block(w_.head), Transpose::no, 0, block(dh));    // dh = dz W
  });
}

template <class S>
void Transformer<S>::block_backward(const Exec& exec, int64_t layer, int64_t length, float kept) {
  const auto& a = a_.blocks[static_cast<size_t>(layer)];
  const auto& w = w_.blocks[static_cast<size_t>(layer)];
  const auto& dw = dw_.blocks[static_cast<size_t>(layer)];
  const bool parallel = is_parallel(config_);
  const bool gone = layer + 1 < config_.layers;  // what isn't kept; the last block's is still there
  const Attention<S> shape = attention(layer, length);
  const auto through_ln_2 = [&](const Matrix<float>& x) {
    affine_backward(exec, a.h2, w.c_fc, a_.df, a_.dh, dw.c_fc, kept);
    norm_backward(exec, x, w.ln_2, a.s2, a_.dh, a_.dx, a_.dr, dw.ln_2);
  };
  if (purpose_ == Purpose::recompute_block && gone) {
    attention_half(exec, layer, length);
    mlp_half(exec, layer);
  }
  affine_gelu_backward(exec, a.g, w.mlp_c_proj, a_.dr, gelu_, a.f, a_.df, dw.mlp_c_proj, kept);
  if (!parallel) through_ln_2(a.x1);
  if (purpose_ == Purpose::recompute_attention && gone) attention_half(exec, layer, length);
  affine_backward(exec, a.y, w.attn_c_proj, a_.dr, a_.dh, dw.attn_c_proj, kept);
  attend_backward(exec, shape, a.qkv, a.log_sum, a.y, a_.dh, a_.dqkv);
  rotate(exec, rotary_, Turn::backward, shape, a_.dqkv);
  affine_backward(exec, a.h1, w.c_attn, a_.dqkv, a_.dh, dw.c_attn, kept);
  norm_backward(exec, a.x, w.ln_1, a.s1, a_.dh, a_.dx, parallel ? Matrix<S>() : a_.dr, dw.ln_1);
  if (parallel) through_ln_2(a.x);  // not before: dr, which both halves begin from, may be dx itself
}

template <class S>
double Transformer<S>::forward_backward(const Exec& exec, const TokenBatch& batch, double scale, Gradients gradients,
                                 const Finished& finished) {
  LAWA_CHECK(purpose_ != Purpose::evaluation, "this model was made for evaluation");
  const auto done = [&](Range range) { if (finished) finished(range); };
  const int64_t T = columns(batch.inputs), L = config_.layers;
  const float kept = gradients == Gradients::add ? 1 : 0;
  if (rows(batch.inputs) == 0) return pass_by(exec, gradients, finished), 0;
  if (gradients == Gradients::overwrite) clear_rest(exec);
  forward(exec, batch.inputs);
  head_backward(exec, flat(batch.targets), scale, kept);
  Kokkos::deep_copy(exec, a_.dx, 0.0f);
  norm_backward(exec, a_.x, w_.ln_f, a_.s, a_.dh, a_.dx, a_.dr, dw_.ln_f);
  done({w_.blocks.back().range.end, w_.size});
  for (int64_t l = L - 1; l >= 0; --l) {
    fetch(exec, 1 + l);
    if (gradients == Gradients::overwrite) clear_block(exec, l);
    block_backward(exec, l, T, kept);
    done(w_.blocks[static_cast<size_t>(l)].range);
  }
  embed_backward(exec, ids_of(batch), T, a_.dx, dw_.wte, dw_.wpe);
  done({0, w_.blocks.front().range.begin});
  return summed_losses();
}

/// What forward_backward does beside computing. The order of fetches and of finished groups is the same.
template <class S>
void Transformer<S>::pass_by(const Exec& exec, Gradients gradients, const Finished& finished) {
  const auto end = [&](int64_t group, Range range) {
    if (gradients == Gradients::overwrite) fill(exec, slice(gradients_, groups_.places[static_cast<size_t>(group)]), 0.0f);
    if (finished) finished(range);
  };
  const int64_t L = config_.layers;
  for (int64_t group = 0; group < L + 2; ++group) fetch(exec, group);
  end(L + 1, {w_.blocks.back().range.end, w_.size});
  for (int64_t l = L - 1; l >= 0; --l) {
    fetch(exec, 1 + l);
    end(1 + l, w_.blocks[static_cast<size_t>(l)].range);
  }
  end(0, {0, w_.blocks.front().range.begin});
}

template <class S>
double Transformer<S>::loss(const Exec& exec, const TokenBatch& batch) {
  if (rows(batch.inputs) == 0) {
    for (int64_t group = 0; group < config_.layers + 2; ++group) fetch(exec, group);
    return 0;
  }
  forward(exec, batch.inputs);
  head(exec, flat(batch.targets));
  return summed_losses();
}

template <class S>
void Transformer<S>::logits(const Exec& exec, const Matrix<int32_t>& inputs, const Matrix<float>& z) {
  forward(exec, inputs);
  gemm(exec, 1, block(a_.h), Transpose::no, block(w_.head), Transpose::yes, 0, block(z));
}

template class Transformer<float>;
template class Transformer<bf16>;

}  // namespace lawa
