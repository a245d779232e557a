// A decoder-only transformer, forward and backward over full weights: GPT-2 (Radford et al. 2019) as arXiv 2306.03241 trains it, and
// GPT-NeoX (Black et al. 2022), which Pythia is. It knows no ranks, and its weights may be brought group by group as it works.
//
//   GPT-2      x' = x1 + mlp(norm(x1)) with x1 = x + attention(norm(x)); positions have an embedding; the head is the token embedding
//   GPT-NeoX   x' = x + attention(norm(x)) + mlp(norm(x)), or as GPT-2; positions turn queries and keys; the head has weights of its own
#pragma once
#include <functional>
#include <vector>

#include "model/model_tensors.hpp"
#include "ops/rotary.hpp"

namespace lawa {

/// B sequences of T tokens each, (B, T) on the device; targets are the inputs one position later. `ids`: the inputs where the CPU reads
/// them, for the backward, which fetches them where they are missing.
struct TokenBatch {
  Matrix<int32_t> inputs{}, targets{};
  Matrix<int32_t, HostMemory> ids{};
};

/// What a model keeps between its forward and its backward, per block: everything; without what leads to the attention's output; its
/// input alone. What isn't kept is computed again: the same numbers. Or it is for evaluation, and has no gradients.
enum class Purpose { training, recompute_attention, recompute_block, evaluation };

/// What a backward does with the gradients that are there already.
enum class Gradients { add, overwrite };

/// Gradients of this flat range won't change any more in this backward. Ranges come from the end to the front and cover P.
using Finished = std::function<void(Range)>;

/// Brings a group's weights (GroupPlaces) to where they belong, if they aren't there.
using Fetch = std::function<void(const Exec&, int64_t group)>;

/// S, float or bf16: what weights, and activations and their gradients on the way into matrix products, are kept as. Residuals, logits,
/// statistics, losses and parameter gradients are float.
template <class S>
class Transformer {
 public:
  /// Room for batches of up to `sequences` sequences of config.context tokens. Weights (and gradients) lie in buffers as `groups` says;
  /// gradients begin at zero. Where groups share a place, `fetch` is called before each group's weights are used.
  Transformer(const ModelConfig& config, int64_t sequences, const GroupPlaces& groups, Purpose purpose, Fetch fetch = {});
  /// The same in file order, with `flat_size` elements, at least the table's, for what communication pads.
  Transformer(const ModelConfig& config, int64_t sequences, int64_t flat_size, Purpose purpose);

  const Vector<S>& weights() const { return weights_; }          ///< (groups.size)
  const Vector<float>& gradients() const { return gradients_; }  ///< the same; of what it is padded with, always 0

  /// Returns the loss summed over the batch's tokens [nats]; gradients() becomes scale * d(sum)/d(weights), or that is added to it.
  /// Without sequences: fetches and finishes the groups as with some. Queued on exec.
  double forward_backward(const Exec& exec, const TokenBatch& batch, double scale, Gradients gradients = Gradients::add,
                          const Finished& finished = {});
  /// The loss summed over the batch's tokens [nats]; a batch without sequences fetches the groups.
  double loss(const Exec& exec, const TokenBatch& batch);
  /// Logits (B*T, V) of a batch's inputs.
  void logits(const Exec& exec, const Matrix<int32_t>& inputs, const Matrix<float>& z);

  /// Bytes of activations for batches of `sequences` sequences.
  static int64_t activation_bytes(const ModelConfig& config, int64_t sequences, Purpose purpose);

 private:
  /// What one block computes on its way; rows are N = B*T.
  struct BlockActivations {
    Matrix<float> x, log_sum, x1;
    Matrix<S> h1, qkv, y, h2, f, g;
    NormStatistics s1, s2;
  };
  struct Activations {
    std::vector<BlockActivations> blocks;
    Matrix<float> x, z;  ///< final residual; logits of some rows at a time
    Matrix<S> h, dz;     ///< the final residual's norm; gradients of the logits
    NormStatistics s;
    Vector<double> losses;  ///< of each row
    Matrix<float> dx;    ///< gradient of the residual
    Matrix<S> dr;        ///< the same as S
    Matrix<S> dh, dqkv, df;
    AttentionRoom<S> attention;
  };
  static Activations map_activations(const ModelConfig& config, int64_t sequences, int64_t length, Purpose purpose, Cursor& at);

  void reserve(const Matrix<int32_t>& inputs);
  Attention<S> attention(int64_t layer, int64_t length) const;
  void forward(const Exec& exec, const Matrix<int32_t>& inputs);
  void attention_half(const Exec& exec, int64_t layer, int64_t length);
  void mlp_half(const Exec& exec, int64_t layer);
  void head(const Exec& exec, const Tokens& targets);
  double summed_losses() const;
  void fetch(const Exec& exec, int64_t group) const;
  void clear_rest(const Exec& exec);
  void clear_block(const Exec& exec, int64_t layer);
  void head_backward(const Exec& exec, const Tokens& targets, double scale, float kept);
  void pass_by(const Exec& exec, Gradients gradients, const Finished& finished);
  void block_backward(const Exec& exec, int64_t layer, int64_t length, float kept);

  ModelConfig config_;
  int64_t sequences_;
  Purpose purpose_;
  Gelu gelu_;
  Rotary rotary_;
  GroupPlaces groups_;
  Fetch fetch_;
  Vector<S> weights_;
  Vector<float> gradients_;
  Vector<char> store_;
  ModelTensors<S> w_;
  ModelTensors<float> dw_;
  Activations a_;
  int64_t mapped_sequences_ = 0, mapped_length_ = 0;
};

}  // namespace lawa
