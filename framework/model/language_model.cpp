#include "model/language_model.hpp"

namespace lawa {
namespace {

std::variant<Transformer<float>, Transformer<bf16>> make(const ModelConfig& config, int64_t sequences, const GroupPlaces& groups, Purpose purpose,
                                                         Precision precision, Fetch fetch) {
  if (precision == Precision::bf16) return Transformer<bf16>(config, sequences, groups, purpose, std::move(fetch));
  return Transformer<float>(config, sequences, groups, purpose, std::move(fetch));
}

}  // namespace

LanguageModel::LanguageModel(const ModelConfig& config, int64_t sequences, const GroupPlaces& groups, Purpose purpose, Precision precision, Fetch fetch)
    : model_(make(config, sequences, groups, purpose, precision, std::move(fetch))) {}
LanguageModel::LanguageModel(const ModelConfig& config, int64_t sequences, int64_t flat_size, Purpose purpose, Precision precision)
    : LanguageModel(config, sequences, resident_places(model_parameters(config), flat_size), purpose, precision) {}

Vector<float> LanguageModel::float_weights() const {
  const auto* model = std::get_if<Transformer<float>>(&model_);
  return model == nullptr ? Vector<float>() : model->weights();
}
const Vector<float>& LanguageModel::gradients() const {
  return std::visit([](const auto& model) -> const Vector<float>& { return model.gradients(); }, model_);
}

double LanguageModel::forward_backward(const Exec& exec, const TokenBatch& batch, double scale, Gradients gradients,
                                       const Finished& finished) {
  return std::visit([&](auto& model) { return model.forward_backward(exec, batch, scale, gradients, finished); }, model_);
}
double LanguageModel::loss(const Exec& exec, const TokenBatch& batch) {
  return std::visit([&](auto& model) { return model.loss(exec, batch); }, model_);
}
int64_t LanguageModel::activation_bytes(const ModelConfig& config, int64_t sequences, Purpose purpose, Precision precision) {
  return precision == Precision::bf16 ? Transformer<bf16>::activation_bytes(config, sequences, purpose)
                                      : Transformer<float>::activation_bytes(config, sequences, purpose);
}

}  // namespace lawa
