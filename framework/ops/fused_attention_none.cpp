#include "ops/fused_attention.hpp"

namespace lawa::detail {

bool fused_attention_fits(int64_t, int64_t) { return false; }

void fused_attend(const Exec&, const Attention<bf16>&, const Matrix<bf16>&, const Matrix<float>&, const Matrix<bf16>&) {
  LAWA_CHECK(false, "this build has no fused attention");
}

void fused_attend_backward(const Exec&, const Attention<bf16>&, const Matrix<bf16>&, const Matrix<float>&, const Matrix<bf16>&,
                           const Matrix<bf16>&, const Matrix<bf16>&) {
  LAWA_CHECK(false, "this build has no fused attention");
}

}  // namespace lawa::detail
