// A model's tensors as transformers names and lays them out, and as this program does.
//
// GPT-NeoX's are the same in both. Those of GPT-2 have "transformer." in front of their names there, but lm_head, and its projections lie as
// (in, out), where ours are (out, in): Conv1D's layout. Others write them as Linear does, (out, in), or leave the prefix out; both are read.
#pragma once
#include <string>
#include <vector>

#include "model/model_config.hpp"
#include "params/parameter_table.hpp"

namespace lawa {

/// A tensor of transformers' model.
struct HuggingFaceTensor {
  std::string name;
  std::vector<int64_t> shape;  ///< as transformers has it
  Parameter ours;              ///< its name, shape and place here; of a bias that our model doesn't have, its place is that of what follows
  bool held = true;            ///< our model has it; else it is a bias, and zero
  bool transposed = false;     ///< the two are each other's transpose
};
/// All of a model, in our order.
std::vector<HuggingFaceTensor> hugging_face_tensors(const ModelConfig& model);

/// "wte.weight", whatever prefix of an architecture stands before it.
std::string without_prefix(const ModelConfig& model, const std::string& name);
/// What older files hold beside the weights, and a config makes again: causal masks, the angles of rotations.
bool is_known_buffer(const ModelConfig& model, const std::string& name);

}  // namespace lawa
