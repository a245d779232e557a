#include "interchange/hugging_face_config.hpp"

#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/error.hpp"
#include "ops/ops.hpp"

namespace lawa {
namespace {

/// A config's keys. A null counts as a key that isn't there, as in transformers.
class Keys {
 public:
  Keys(const Json& config, std::string place) : config_(config), place_(std::move(place)) {}

  const Json* find(const std::string& key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }
  /// How a message about a key begins: "DIR/config.json: n_embd is 7".
  std::string says(const std::string& key) const { return concat(place_, ": ", key, " is ", find(key) ? find(key)->dump().substr(0, 80) : "missing"); }
  const std::string& place() const { return place_; }

  std::string text(const std::string& key, const std::string& otherwise) const {
    const Json* value = find(key);
    LAWA_CHECK(value == nullptr || value->is_string(), says(key), ", not a text");
    return value ? value->get<std::string>() : otherwise;
  }
  bool truth(const std::string& key, bool otherwise) const {
    const Json* value = find(key);
    LAWA_CHECK(value == nullptr || value->is_boolean(), says(key), ", neither true nor false");
    return value ? value->get<bool>() : otherwise;
  }
  std::optional<double> number(const std::string& key) const {
    const Json* value = find(key);
    LAWA_CHECK(value == nullptr || (value->is_number() && std::isfinite(value->get<double>())), says(key), ", not a number");
    return value ? std::optional(value->get<double>()) : std::nullopt;
  }
  /// The size that some keys say, of which the first is the usual one. Errors: none does, or two contradict each other.
  int64_t size(std::initializer_list<const char*> keys, int64_t most) const {
    std::optional<int64_t> size;
    for (const char* key : keys) {
      const Json* value = find(key);
      if (value == nullptr) continue;
      LAWA_CHECK(value->is_number_integer() && *value >= 1 && *value <= most, says(key), ", not a whole number from 1 to ", most);
      LAWA_CHECK(!size || *size == value->get<int64_t>(), says(key), ", which contradicts ", *keys.begin(), " = ", *size);
      size = value->get<int64_t>();
    }
    LAWA_CHECK(size, place_, ": says no ", *keys.begin());
    return *size;
  }
  /// Errors: a key says something.
  void check_empty(const std::string& key, const std::string& why) const {
    const Json* value = find(key);
    LAWA_CHECK(value == nullptr || (value->is_boolean() && !value->get<bool>()) || (value->is_structured() && value->empty()), says(key), "; ", why);
  }

 private:
  const Json& config_;
  std::string place_;
};

const std::map<std::string, std::string>& activations() {
  static const std::map<std::string, std::string> names{{"gelu", "erf"}, {"gelu_new", "tanh"}, {"gelu_pytorch_tanh", "tanh"}, {"gelu_fast", "tanh"}};
  return names;
}
std::string gelu_of(const Keys& keys, const std::string& key, const std::string& otherwise) {
  const auto found = activations().find(keys.text(key, otherwise));
  LAWA_CHECK(found != activations().end(), keys.says(key), "; models here have gelu, gelu_new, gelu_pytorch_tanh or gelu_fast");
  return found->second;
}

void check_epsilon(const Keys& keys, const std::string& key) {
  const double epsilon = keys.number(key).value_or(norm_epsilon);
  LAWA_CHECK(std::abs(epsilon - norm_epsilon) < 1e-9 * norm_epsilon, keys.says(key), "; LayerNorms here have ", Json(norm_epsilon).dump());
}

/// Errors: what no model of either architecture does here.
void check_common(const Keys& keys) {
  keys.check_empty("quantization_config", "save the model unquantized");
  keys.check_empty("auto_map", "a model with code of its own can't be held");
  keys.check_empty("add_cross_attention", "models here have no cross attention");
  keys.check_empty("is_encoder_decoder", "models here are decoders");
  keys.check_empty("pruned_heads", "all layers here have the same heads");
}

ModelConfig read_gpt2(const Keys& keys) {
  ModelConfig c = defaults_of("gpt2");
  c.layers = keys.size({"n_layer", "num_hidden_layers"}, 10000);
  c.heads = keys.size({"n_head", "num_attention_heads"}, 100000);
  c.channels = keys.size({"n_embd", "hidden_size"}, 1 << 20);
  c.context = keys.size({"n_positions", "max_position_embeddings", "n_ctx"}, 1 << 24);
  LAWA_CHECK(!keys.find("n_inner") || keys.size({"n_inner"}, 1 << 24) == 4 * c.channels, keys.says("n_inner"), ", and an MLP here has 4 * n_embd = ", 4 * c.channels);
  LAWA_CHECK(keys.truth("scale_attn_weights", true), keys.says("scale_attn_weights"), "; attention here is scaled by the width of its heads");
  check_epsilon(keys, "layer_norm_epsilon");
  c.gelu = gelu_of(keys, "activation_function", "gelu_new");
  c.scale_attention_by_layer = keys.truth("scale_attn_by_inverse_layer_idx", false);
  c.tied = keys.truth("tie_word_embeddings", true);
  return c;
}

/// The rotations of a GPT-NeoX: rope_parameters has them, or older keys, or both.
void read_rotations(const Keys& keys, ModelConfig& c) {
  const Json none = Json::object(), *given = keys.find("rope_parameters"), *scaling = keys.find("rope_scaling");
  for (const Json* object : {given, scaling})
    LAWA_CHECK(object == nullptr || object->is_object(), keys.says(object == given ? "rope_parameters" : "rope_scaling"), ", not an object");
  const Keys rope(given ? *given : none, keys.place() + ": rope_parameters"), scaled(scaling ? *scaling : none, keys.place() + ": rope_scaling");
  for (const Keys* some : {&rope, &scaled})
    for (const char* key : {"rope_type", "type"})
      LAWA_CHECK(some->text(key, "default") == "default", some->says(key), "; rotations here aren't scaled (\"default\")");
  LAWA_CHECK(scaling == nullptr || scaling->empty() || scaled.find("rope_type") || scaled.find("type"), keys.says("rope_scaling"), "; rotations here aren't scaled");
  const auto agreed = [&](double& value, std::initializer_list<std::pair<const Keys*, const char*>> places) {
    std::optional<double> found;
    for (const auto& [some, key] : places) {
      const auto number = some->number(key);
      LAWA_CHECK(!number || !found || *number == *found, some->says(key), ", and another key says ", Json(found.value_or(0)).dump());
      if (number) found = number;
    }
    value = found.value_or(value);
  };
  agreed(c.rotary_fraction, {{&rope, "partial_rotary_factor"}, {&keys, "partial_rotary_factor"}, {&keys, "rotary_pct"}});
  agreed(c.rotary_base, {{&rope, "rope_theta"}, {&keys, "rope_theta"}, {&keys, "rotary_emb_base"}});
  LAWA_CHECK(c.rotary_fraction >= 0 && c.rotary_fraction <= 1, keys.place(), ": rotary_pct is ", Json(c.rotary_fraction).dump(), ", not from 0 to 1");
  LAWA_CHECK(c.rotary_base > 0, keys.place(), ": rotary_emb_base is ", Json(c.rotary_base).dump(), ", not positive");
}

ModelConfig read_gpt_neox(const Keys& keys) {
  ModelConfig c = defaults_of("gpt_neox");
  c.layers = keys.size({"num_hidden_layers"}, 10000);
  c.heads = keys.size({"num_attention_heads"}, 100000);
  c.channels = keys.size({"hidden_size"}, 1 << 20);
  c.context = keys.size({"max_position_embeddings"}, 1 << 24);
  LAWA_CHECK(keys.size({"intermediate_size"}, 1 << 24) == 4 * c.channels, keys.says("intermediate_size"), ", and an MLP here has 4 * hidden_size = ", 4 * c.channels);
  check_epsilon(keys, "layer_norm_eps");
  c.gelu = gelu_of(keys, "hidden_act", "gelu");
  c.tied = keys.truth("tie_word_embeddings", false);
  c.parallel_residual = keys.truth("use_parallel_residual", true);
  c.attention_bias = keys.truth("attention_bias", true);
  read_rotations(keys, c);
  return c;
}

}  // namespace

ModelConfig read_hugging_face_config(const Json& config, const std::string& place) {
  LAWA_CHECK(config.is_object(), place, ": isn't a JSON object");
  const Keys keys(config, place);
  const std::string type = keys.text("model_type", "");
  LAWA_CHECK(type == "gpt2" || type == "gpt_neox", keys.says("model_type"), "; GPT-2 (\"gpt2\") and GPT-NeoX (\"gpt_neox\") can be held here");
  check_common(keys);
  ModelConfig c = type == "gpt2" ? read_gpt2(keys) : read_gpt_neox(keys);
  c.vocabulary = keys.size({"vocab_size"}, 1 << 24);
  c.bias = keys.truth("bias", true);
  LAWA_CHECK(c.channels % c.heads == 0, place, ": ", c.channels, " channels aren't a multiple of ", c.heads, " heads");
  LAWA_CHECK(rotary_width(c) % 2 == 0, place, ": rotary_pct turns ", rotary_width(c), " of a head's ", c.channels / c.heads,
             " channels, and positions turn pairs: it must be even");
  return c;
}

Json hugging_face_config(const ModelConfig& c, NumberFormat numbers) {
  const char* gelu = c.gelu == "erf" ? "gelu" : "gelu_new";
  Json config;
  if (is_gpt_neox(c)) {
    LAWA_CHECK(!c.scale_attention_by_layer, "model.scale_attention_by_layer = true: transformers' GPT-NeoX doesn't scale attention by layers");
    config = {{"architectures", {"GPTNeoXForCausalLM"}}, {"model_type", "gpt_neox"}, {"vocab_size", c.vocabulary}, {"hidden_size", c.channels},
              {"num_hidden_layers", c.layers}, {"num_attention_heads", c.heads}, {"intermediate_size", 4 * c.channels}, {"hidden_act", gelu},
              {"max_position_embeddings", c.context}, {"layer_norm_eps", norm_epsilon}, {"rotary_pct", c.rotary_fraction},
              {"rotary_emb_base", c.rotary_base}, {"use_parallel_residual", c.parallel_residual}, {"attention_bias", c.attention_bias}};
  } else {
    config = {{"architectures", {"GPT2LMHeadModel"}}, {"model_type", "gpt2"}, {"vocab_size", c.vocabulary}, {"n_positions", c.context},
              {"n_embd", c.channels}, {"n_layer", c.layers}, {"n_head", c.heads}, {"n_inner", nullptr}, {"activation_function", gelu},
              {"layer_norm_epsilon", norm_epsilon}, {"scale_attn_by_inverse_layer_idx", c.scale_attention_by_layer},
              {"resid_pdrop", 0.0}, {"embd_pdrop", 0.0}, {"attn_pdrop", 0.0}};
  }
  config["tie_word_embeddings"] = c.tied;
  if (!c.bias) config["bias"] = false;
  config["bos_token_id"] = config["eos_token_id"] = nullptr;  // the tokenizer's, which the weights don't know
  config["torch_dtype"] = name_of(numbers);
  return config;
}

}  // namespace lawa
