// The seam of attention that keeps no scores in memory: one kernel for all heads. fused_attention_cudnn.cpp or fused_attention_none.cpp
// implements it.
#pragma once
#include "ops/attend.hpp"

namespace lawa::detail {

/// Whether bf16 attention over T = `length` positions, by heads of D = `width` channels, is fused in this build. The rest works in tiles.
bool fused_attention_fits(int64_t length, int64_t width);

/// attend() and attend_backward() of shapes that fit; the room isn't used. Not from two threads at once, nor on two queues at once.
/// Errors: the library refuses the shape or the device.
void fused_attend(const Exec& exec, const Attention<bf16>& shape, const Matrix<bf16>& qkv, const Matrix<float>& log_sum, const Matrix<bf16>& y);
void fused_attend_backward(const Exec& exec, const Attention<bf16>& shape, const Matrix<bf16>& qkv, const Matrix<float>& log_sum,
                           const Matrix<bf16>& y, const Matrix<bf16>& dy, const Matrix<bf16>& dqkv);

}  // namespace lawa::detail
