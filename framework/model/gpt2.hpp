// GPT-2 (Radford et al. 2019) as arXiv 2306.03241 trains it: forward and backward over full weights. It knows no ranks.
#pragma once
#include <functional>
#include <vector>

#include "model/gpt2_tensors.hpp"
#include "ops/attend.hpp"

namespace lawa {

/// B sequences of T tokens each, (B, T) on the device; targets are the inputs one position later.
struct TokenBatch {
  Matrix<int32_t> inputs, targets;
};

/// recompute: training that keeps only the blocks' inputs, and computes the rest of a block again for its backward. evaluation: one
/// block's activations, and no gradients.
enum class Purpose { training, recompute, evaluation };

class Gpt2 {
 public:
  /// Room for batches of up to `sequences` sequences of config.context tokens. Weights (and gradients) have `flat_size` elements,
  /// at least the table's, for what communication pads; gradients begin at zero.
  /// precision: of the matrix products; weights, activations, gradients and all sums are float32.
  Gpt2(const Gpt2Config& config, int64_t sequences, int64_t flat_size, Purpose purpose, Precision precision = Precision::fp32);

  const Vector<float>& weights() const { return weights_; }      ///< (flat_size), file order
  const Vector<float>& gradients() const { return gradients_; }  ///< the same; backward adds into it

  /// Gradients of this flat range won't change any more in this backward. Ranges come from the end to the front and cover P.
  using Finished = std::function<void(Range)>;

  /// Returns the loss summed over the batch's tokens [nats]; adds scale * d(sum)/d(weights) into gradients(). Queued on exec.
  double forward_backward(const Exec& exec, const TokenBatch& batch, double scale, const Finished& finished = {});
  /// The loss summed over the batch's tokens [nats].
  double loss(const Exec& exec, const TokenBatch& batch);
  /// Logits (B*T, V) of a batch's inputs.
  void logits(const Exec& exec, const Matrix<int32_t>& inputs, const Matrix<float>& z);

  /// Bytes of activations for batches of `sequences` sequences.
  static int64_t activation_bytes(const Gpt2Config& config, int64_t sequences, Purpose purpose);

 private:
  /// What one block keeps for its backward; rows are N = B*T.
  struct BlockActivations {
    Matrix<float> x, h1, qkv, log_sum, y, x1, h2, f, g;
    NormStatistics s1, s2;
  };
  struct Activations {
    std::vector<BlockActivations> blocks;
    Matrix<float> x, h, z;  ///< final residual, its norm; logits of some rows at a time
    NormStatistics s;
    Matrix<float> dx, dh, dr, dqkv, df, tile_a, tile_b;
  };
  static Activations map_activations(const Gpt2Config& config, int64_t sequences, int64_t length, Purpose purpose, class Cursor& at);

  void reserve(const Matrix<int32_t>& inputs);
  Attention attention(int64_t layer, int64_t length) const;
  void forward(const Exec& exec, const Matrix<int32_t>& inputs);
  void inside_block(const Exec& exec, int64_t layer, int64_t length);
  double head(const Exec& exec, const Tokens& targets);
  double head_backward(const Exec& exec, const Tokens& targets, double scale);
  void block_backward(const Exec& exec, int64_t layer, int64_t length);

  Gpt2Config config_;
  int64_t sequences_;
  Purpose purpose_;
  Precision precision_;
  Gelu gelu_;
  Vector<float> weights_, gradients_, store_;
  Gpt2Tensors w_, dw_;
  Activations a_;
  int64_t mapped_sequences_ = 0, mapped_length_ = 0;
};

}  // namespace lawa
