// GPT-2's tensors in file order, named as nanoGPT names them.
#pragma once
#include <vector>

#include "model/model_config.hpp"
#include "ops/ops.hpp"
#include "params/parameter_table.hpp"

namespace lawa {

template <class S>
struct BlockTensors {
  Norm<S> ln_1;
  Affine<S> c_attn, attn_c_proj;
  Norm<S> ln_2;
  Affine<S> c_fc, mlp_c_proj;
  Range range;  ///< of all of them in the flat buffer
};
/// Views over one flat buffer; the same struct over another buffer is the gradient. The head shares wte.
template <class S>
struct ModelTensors {
  Matrix<S> wte, wpe;  ///< (V, C), (context, C)
  std::vector<BlockTensors<S>> blocks;
  Norm<S> ln_f;
  int64_t size = 0;  ///< P
};

/// Names, shapes, offsets, decay and initial values: normal(0, 0.02), residual projections normal(0, 0.02/sqrt(2L)), LayerNorm
/// weights 1, biases 0 (Radford et al. 2019; nanoGPT). decay: Linear weights, and the embeddings where asked for.
ParameterTable model_parameters(const ModelConfig& config, bool decay_embeddings = false);

/// The tensors of a flat buffer, float or bf16, of at least model_parameters(config).size() elements.
template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer);

}  // namespace lawa
