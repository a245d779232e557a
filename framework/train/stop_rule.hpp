// When a run ends before its schedule: its loss has stopped falling.
#pragma once
#include <cstdint>
#include <span>

namespace lawa {

/// True when the last `patience` losses (in the order of evaluation) didn't go below the lowest one before them; never for patience
/// 0. What isn't finite is no improvement.
bool patience_is_over(std::span<const double> losses, int64_t patience);

}  // namespace lawa
