#include "params/initial_weights.hpp"

#include "core/error.hpp"
#include "core/philox.hpp"

namespace lawa {

void initial_weights(const ParameterTable& table, uint64_t seed, Range range, std::span<float> out) {
  LAWA_CHECK(static_cast<int64_t>(out.size()) == range.size(), "initial weights: room for ", out.size(), " of ", range.size());
  for (const auto& [parameter, part] : table.segments(range))
    for (int64_t i = part.begin; i < part.end; ++i) {
      const double normal = parameter->deviation == 0 ? 0 : random_normal(seed, RandomStream::weights, static_cast<uint64_t>(i));
      out[static_cast<size_t>(i - range.begin)] = static_cast<float>(parameter->mean + parameter->deviation * normal);
    }
}

}  // namespace lawa
