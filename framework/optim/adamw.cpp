#include "optim/adamw.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/loops.hpp"

namespace lawa {
AdamW::AdamW(const OptimizerConfig& config, const ParameterTable& table, const ShardLayout& layout, const Vector<float>& master)
    : config_(config),
      master_(master),
      m_(zeros<float>("lawa::adamw.m", layout.local_size())),
      v_(zeros<float>("lawa::adamw.v", layout.local_size())) {
  LAWA_CHECK(rows(master) == layout.local_size(), "AdamW: ", rows(master), " weights for a layout of ", layout.local_size());
  for (const auto& [range, local] : layout.mine())
    for (const auto& [parameter, segment] : table.segments(range)) {
      const int64_t begin = local + segment.begin - range.begin;
      if (!parts_.empty() && parts_.back().decay == parameter->decay && parts_.back().local.end == begin)
        parts_.back().local.end += segment.size();
      else
        parts_.push_back({{begin, begin + segment.size()}, parameter->decay});
    }
}

void AdamW::update(const Exec& exec, const Vector<float>& gradient, double lr, double gradient_scale, int64_t step) {
  const auto steps = static_cast<double>(step);
  const auto b1 = static_cast<float>(config_.beta1), a1 = static_cast<float>(1 - config_.beta1);
  const auto b2 = static_cast<float>(config_.beta2), a2 = static_cast<float>(1 - config_.beta2);
  const auto epsilon = static_cast<float>(config_.epsilon), scale = static_cast<float>(gradient_scale);
  const auto rate = static_cast<float>(lr / (1 - std::pow(config_.beta1, steps)));
  const auto root = static_cast<float>(1 / std::sqrt(1 - std::pow(config_.beta2, steps)));
  const Vector<float> weights = master_, first = m_, second = v_;
  for (const auto& [local, decay] : parts_) {
    const auto keep = static_cast<float>(decay ? 1 - lr * config_.weight_decay : 1);
    float* const w = weights.data();
    float* const m = first.data();
    float* const v = second.data();
    const float* const gradients = gradient.data();
    for_elements("lawa::adamw", exec, local, KOKKOS_LAMBDA(int64_t i) {
      const float g = scale * gradients[i];
      m[i] = b1 * m[i] + a1 * g;
      v[i] = b2 * v[i] + a2 * g * g;
      w[i] = keep * w[i] - rate * m[i] / (root * square_root(v[i]) + epsilon);
    });
  }
}

double clip_factor(double norm, double clip_norm) { return clip_norm == 0 ? 1 : std::min(1.0, clip_norm / (norm + 1e-6)); }

double squared_norm(const Exec& exec, const Vector<float>& x) {
  const float* const values = x.data();
  return sum_elements("lawa::squared_norm", exec, rows(x), KOKKOS_LAMBDA(int64_t i) -> double {
    return static_cast<double>(values[i]) * static_cast<double>(values[i]);
  });
}

}  // namespace lawa
