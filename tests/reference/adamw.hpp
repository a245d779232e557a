// One AdamW update of one weight, in the order of torch.optim.AdamW.
#pragma once
#include <cmath>

namespace lawa::reference {

struct AdamWRules {
  double beta1, beta2, epsilon, weight_decay;
};
struct AdamWState {
  double weight = 0, m = 0, v = 0;
};

/// `step` counts from 1.
inline void adamw(const AdamWRules& rules, AdamWState& s, double gradient, double lr, double step) {
  s.weight -= lr * rules.weight_decay * s.weight;
  s.m = rules.beta1 * s.m + (1 - rules.beta1) * gradient;
  s.v = rules.beta2 * s.v + (1 - rules.beta2) * gradient * gradient;
  const double m_hat = s.m / (1 - std::pow(rules.beta1, step)), v_hat = s.v / (1 - std::pow(rules.beta2, step));
  s.weight -= lr * m_hat / (std::sqrt(v_hat) + rules.epsilon);
}

}  // namespace lawa::reference
