// What numbers are kept as; what is computed from them is computed in float32.
#pragma once

namespace lawa {

enum class Precision { fp32, bf16 };

}  // namespace lawa
