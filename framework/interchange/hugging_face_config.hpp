// config.json, by which transformers tells what a model is, and this program's words for the same.
//
//   gpt2                              gpt_neox                                   here
//   n_layer, n_head, n_embd           num_hidden_layers, num_attention_heads,    model.layers, heads, channels
//                                     hidden_size
//   n_positions, vocab_size           max_position_embeddings, vocab_size        model.context, vocabulary
//   activation_function               hidden_act                                 model.gelu: gelu is erf, gelu_new tanh
//   tie_word_embeddings (true)        tie_word_embeddings (false)                model.tied
//   scale_attn_by_inverse_layer_idx                                              model.scale_attention_by_layer
//                                     use_parallel_residual, attention_bias      model.parallel_residual, attention_bias
//                                     rotary_pct, rotary_emb_base, or both in    model.rotary_fraction, rotary_base
//                                     rope_parameters
//   bias                              bias                                       model.bias; transformers has no such key and always biases,
//                                                                                so where it is false they are zeros
#pragma once
#include "core/json.hpp"
#include "core/number_format.hpp"
#include "model/model_config.hpp"

namespace lawa {

/// The model that a config.json is of; `place` is its name, for messages. Errors, which name the key and what it says: another model_type, sizes
/// that are missing or don't fit each other, and whatever our model of that name doesn't do (another activation, another epsilon, scaled
/// rotations, cross attention, quantized weights, code of its own). Dropout, which counts in training only, is passed over.
ModelConfig read_hugging_face_config(const Json& config, const std::string& place);

/// The config.json of a model whose weights are stored so. Errors: a switch that transformers' model doesn't have.
Json hugging_face_config(const ModelConfig& model, NumberFormat numbers);

}  // namespace lawa
