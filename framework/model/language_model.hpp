// A model of the precision that a config names: the one place where that choice becomes a type.
#pragma once
#include <variant>

#include "model/transformer.hpp"
#include "ops/precision.hpp"

namespace lawa {

class LanguageModel {
 public:
  /// As Transformer's; precision: what its weights and activations are kept as.
  LanguageModel(const ModelConfig& config, int64_t sequences, const GroupPlaces& groups, Purpose purpose, Precision precision, Fetch fetch = {});
  LanguageModel(const ModelConfig& config, int64_t sequences, int64_t flat_size, Purpose purpose, Precision precision);

  /// f(weights), a Vector<float> or a Vector<bf16>.
  template <class F>
  void with_weights(const F& f) const {
    std::visit([&](const auto& model) { f(model.weights()); }, model_);
  }
  /// The weights themselves where they are float, else an empty vector.
  Vector<float> float_weights() const;
  const Vector<float>& gradients() const;

  /// Transformer's functions of these names.
  double forward_backward(const Exec& exec, const TokenBatch& batch, double scale, Gradients gradients = Gradients::add,
                          const Finished& finished = {});
  double loss(const Exec& exec, const TokenBatch& batch);
  static int64_t activation_bytes(const ModelConfig& config, int64_t sequences, Purpose purpose, Precision precision);

 private:
  std::variant<Transformer<float>, Transformer<bf16>> model_;
};

}  // namespace lawa
