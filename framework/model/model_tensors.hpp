// A transformer's tensors in file order.
//
// Names and layouts are those of the files that others know: nanoGPT's for GPT-2, Hugging Face's for GPT-NeoX, so that what is read and
// written by name there means the same here. A Linear's weight is (out, in). The 3C rows of c_attn, which make q, k and v, are ordered as
// q, k, v with the heads side by side in each (GPT-2), or head by head, each with its q, k, v (GPT-NeoX): QkvOrder.
//
//   nanoGPT              Hugging Face's GPT-NeoX
//   wte                  gpt_neox.embed_in
//   wpe                  (positions turn queries and keys)
//   h.0.ln_1             gpt_neox.layers.0.input_layernorm
//   h.0.attn.c_attn      gpt_neox.layers.0.attention.query_key_value
//   h.0.attn.c_proj      gpt_neox.layers.0.attention.dense
//   h.0.ln_2             gpt_neox.layers.0.post_attention_layernorm
//   h.0.mlp.c_fc         gpt_neox.layers.0.mlp.dense_h_to_4h
//   h.0.mlp.c_proj       gpt_neox.layers.0.mlp.dense_4h_to_h
//   ln_f                 gpt_neox.final_layer_norm
//   lm_head              embed_out                                     where it isn't the token embedding (tied)
#pragma once
#include <vector>

#include "model/model_config.hpp"
#include "ops/ops.hpp"
#include "params/windows.hpp"

namespace lawa {

template <class S>
struct BlockTensors {
  Norm<S> ln_1;
  Affine<S> c_attn, attn_c_proj;
  Norm<S> ln_2;
  Affine<S> c_fc, mlp_c_proj;
  Range range;  ///< of all of them in the flat space
};
/// Views over one buffer; the same struct over another buffer is the gradient.
template <class S>
struct ModelTensors {
  Matrix<S> wte, wpe;  ///< (V, C); (context, C), or nothing where positions aren't learned
  std::vector<BlockTensors<S>> blocks;
  Norm<S> ln_f;
  Matrix<S> head;      ///< (V, C): wte itself where they are tied
  int64_t size = 0;  ///< P
};

/// Names, shapes, offsets, decay and initial values. LayerNorm weights are 1, biases 0, and all other weights normal(0, deviation):
///   GPT-2      0.02, of residual projections 0.02/sqrt(2L) (Radford et al. 2019; nanoGPT)
///   GPT-NeoX   sqrt(2/(5C)) (Nguyen, Salazar 2019), of residual projections 2/(L sqrt(C)) (Wang, Komatsuzaki 2021); Pythia's settings
/// decay: Linear weights, and the embeddings where asked for.
ParameterTable model_parameters(const ModelConfig& config, bool decay_embeddings = false);

/// The tensors of a buffer, float or bf16, whose groups lie there as `groups` says. Blocks may lie in the same place.
template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer, const GroupPlaces& groups);
/// The same of a flat buffer of at least model_parameters(config).size() elements.
template <class S>
ModelTensors<S> model_tensors(const ModelConfig& config, const Vector<S>& buffer);

}  // namespace lawa
