// Walks through a buffer and hands out its parts: without a buffer it measures, with one it maps, so a layout is written once.
#pragma once
#include "tensor/tensor.hpp"

namespace lawa {

class Cursor {
 public:
  Cursor() = default;
  /// Parts begin at multiples of `alignment` elements.
  explicit Cursor(float* buffer, int64_t alignment = 1) : buffer_(buffer), alignment_(alignment) {}

  Vector<float> vector(int64_t n) { return Vector<float>(take(n), static_cast<size_t>(n)); }
  Matrix<float> matrix(int64_t n, int64_t m) { return Matrix<float>(take(n * m), static_cast<size_t>(n), static_cast<size_t>(m)); }
  /// Elements handed out so far, gaps included.
  int64_t used() const { return used_; }

 private:
  float* take(int64_t n) {
    const int64_t begin = (used_ + alignment_ - 1) / alignment_ * alignment_;
    used_ = begin + n;
    return buffer_ == nullptr ? nullptr : buffer_ + begin;
  }

  float* buffer_ = nullptr;
  int64_t alignment_ = 1, used_ = 0;
};

}  // namespace lawa
