// AdamW on the part of the weights that this rank owns.
#pragma once
#include <vector>

#include "core/config.hpp"
#include "params/parameter_table.hpp"
#include "params/shard_layout.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

struct OptimizerConfig {
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1, clip_norm = 1;
  bool decay_embeddings = false;
};

template <class Visitor>
void visit(OptimizerConfig& c, Visitor&& v) {
  v("beta1", c.beta1, "AdamW: decay of the first moment, a step", between(0, 0.999999999));
  v("beta2", c.beta2, "AdamW: decay of the second moment, a step", between(0, 0.999999999));
  v("epsilon", c.epsilon, "AdamW: added to the root of the second moment", at_least(0));
  v("weight_decay", c.weight_decay, "AdamW: decay of Linear weights, times the learning rate, a step", at_least(0));
  v("clip_norm", c.clip_norm, "gradients are scaled down to this global norm; 0: never", at_least(0));
  v("decay_embeddings", c.decay_embeddings, "weight decay on the embeddings of tokens and positions as well");
}

/// Decoupled weight decay (Loshchilov, Hutter 2019) with PyTorch's order of operations. master, m and v are local buffers of the
/// layout, float32; elements past mine_size() are never touched.
class AdamW {
 public:
  /// master: the weights that are updated. Errors: it isn't a local buffer of the layout.
  AdamW(const OptimizerConfig& config, const ParameterTable& table, const ShardLayout& layout, const Vector<float>& master);

  /// One update of my elements. gradient: a local buffer, its values times `gradient_scale` are used; `step` counts from 1.
  ///   m = beta1 m + (1-beta1) g;  v = beta2 v + (1-beta2) g^2
  ///   w = w (1 - lr decay) - lr m / (1-beta1^step) / (sqrt(v / (1-beta2^step)) + epsilon)
  void update(const Exec& exec, const Vector<float>& gradient, double lr, double gradient_scale, int64_t step);

  const Vector<float>& master() const { return master_; }
  const Vector<float>& m() const { return m_; }
  const Vector<float>& v() const { return v_; }

 private:
  struct Part {
    Range local;
    bool decay;
  };
  OptimizerConfig config_;
  std::vector<Part> parts_;  ///< my elements, cut where weight decay begins or ends
  Vector<float> master_, m_, v_;
};

/// What gradients are multiplied by to clip their global norm, as torch.nn.utils.clip_grad_norm_: min(1, clip/(norm + 1e-6)).
double clip_factor(double norm, double clip_norm);

/// Sum of squares of a vector's elements in float64; waits for it. The order of the sum depends only on the length.
double squared_norm(const Exec& exec, const Vector<float>& x);

}  // namespace lawa
