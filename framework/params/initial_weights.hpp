// The first weights of a run, as a pure function of the seed.
#pragma once
#include <span>

#include "params/parameter_table.hpp"

namespace lawa {

/// Writes elements [range.begin, range.end) of the initial weights: mean + deviation * normal(seed, flat index), rounded to
/// float32. Who owns an element doesn't matter.
void initial_weights(const ParameterTable& table, uint64_t seed, Range range, std::span<float> out);

}  // namespace lawa
