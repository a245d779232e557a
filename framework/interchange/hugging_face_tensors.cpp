#include "interchange/hugging_face_tensors.hpp"

#include <algorithm>
#include <map>
#include <regex>

#include "model/model_tensors.hpp"

namespace lawa {
namespace {

const char* prefix_of(const ModelConfig& model) { return is_gpt_neox(model) ? "gpt_neox." : "transformer."; }

/// A weight that Conv1D multiplies by.
bool is_projection(const ModelConfig& model, const Parameter& parameter) {
  return !is_gpt_neox(model) && parameter.name.starts_with("h.") && parameter.shape.size() == 2;
}

}  // namespace

std::vector<HuggingFaceTensor> hugging_face_tensors(const ModelConfig& model) {
  const ParameterTable ours = model_parameters(model);
  ModelConfig biased = model;
  biased.bias = true;
  const ParameterTable all = model_parameters(biased);
  std::vector<HuggingFaceTensor> tensors;
  auto next = ours.parameters().begin();
  int64_t offset = 0;
  for (const Parameter& parameter : all.parameters()) {
    const bool held = next != ours.parameters().end() && next->name == parameter.name, transposed = is_projection(model, parameter);
    HuggingFaceTensor tensor{.name = parameter.name, .shape = parameter.shape, .ours = parameter, .held = held, .transposed = transposed};
    tensor.ours.offset = offset;
    if (!is_gpt_neox(model) && parameter.name != "lm_head.weight") tensor.name = prefix_of(model) + parameter.name;
    if (transposed) std::ranges::reverse(tensor.shape);
    if (held) offset += next++->size();
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

std::string without_prefix(const ModelConfig& model, const std::string& name) {
  const std::string prefix = prefix_of(model);
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

bool is_known_buffer(const ModelConfig& model, const std::string& name) {
  static const std::regex gpt2(R"(h\.\d+\.attn\.(bias|masked_bias))"), neox(R"(layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq))");
  return std::regex_match(without_prefix(model, name), is_gpt_neox(model) ? neox : gpt2);
}

}  // namespace lawa
