// What the numbers of a product are rounded to; its sums are float32.
#pragma once

namespace lawa {

enum class Precision { fp32, bf16 };

}  // namespace lawa
