// Walks through a buffer and hands out its parts: without a buffer it measures, with one it maps, so a layout is written once.
#pragma once
#include "tensor/tensor.hpp"

namespace lawa {

class Cursor {
 public:
  Cursor() = default;
  /// Parts begin at multiples of `alignment` bytes.
  explicit Cursor(void* buffer, int64_t alignment = 1) : buffer_(static_cast<char*>(buffer)), alignment_(alignment) {}

  template <class T>
  Vector<T> vector(int64_t n) {
    return Vector<T>(take<T>(n), static_cast<size_t>(n));
  }
  template <class T>
  Matrix<T> matrix(int64_t n, int64_t m) {
    return Matrix<T>(take<T>(n * m), static_cast<size_t>(n), static_cast<size_t>(m));
  }
  /// Bytes handed out so far, gaps included.
  int64_t used() const { return used_; }

 private:
  template <class T>
  T* take(int64_t n) {
    const int64_t begin = (used_ + alignment_ - 1) / alignment_ * alignment_;
    used_ = begin + n * static_cast<int64_t>(sizeof(T));
    return buffer_ == nullptr ? nullptr : reinterpret_cast<T*>(buffer_ + begin);
  }

  char* buffer_ = nullptr;
  int64_t alignment_ = 1, used_ = 0;
};

}  // namespace lawa
