#include "ops/rotary.hpp"

#include <cmath>

#include "tensor/loops.hpp"

namespace lawa {

Rotary make_rotary(int64_t positions, int64_t width, double base) {
  LAWA_CHECK(width % 2 == 0, "positions turn pairs of channels, and ", width, " channels are odd");
  const auto n = static_cast<size_t>(positions), pairs = static_cast<size_t>(width / 2);
  const Rotary rotary{width, Matrix<float>("lawa::cosine", n, pairs), Matrix<float>("lawa::sine", n, pairs)};
  const auto cosine = Kokkos::create_mirror_view(rotary.cosine), sine = Kokkos::create_mirror_view(rotary.sine);
  for (size_t t = 0; t < n; ++t)
    for (size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(t) * std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(width));
      cosine(t, i) = static_cast<float>(std::cos(angle));
      sine(t, i) = static_cast<float>(std::sin(angle));
    }
  Kokkos::deep_copy(rotary.cosine, cosine);
  Kokkos::deep_copy(rotary.sine, sine);
  return rotary;
}

// With u = x[i] and v = x[i + width/2]: u' = u cos - v sin, v' = v cos + u sin; backward with -sin.
template <class S>
void rotate(const Exec& exec, const Rotary& rotary, Turn turn, const Attention<S>& shape, const Matrix<S>& qkv) {
  if (rotary.width == 0) return;
  const int64_t T = shape.sequence_length, H = shape.heads, D = columns(qkv) / (3 * H), pairs = rotary.width / 2;
  LAWA_CHECK(T <= rows(rotary.cosine) && rotary.width <= D, "turns of ", rows(rotary.cosine), " positions and ", rotary.width,
             " channels, for ", T, " and ", D);
  const QkvColumns at = qkv_columns(shape.order, H, D);
  const Matrix<float> cosine = rotary.cosine, sine = rotary.sine;
  const float sign = turn == Turn::forward ? 1 : -1;
  for_rows("lawa::rotate", exec, rows(qkv), pairs, KOKKOS_LAMBDA(const Row& row, int64_t n) {
    const float* const cos = &cosine(n % T, 0);
    const float* const sin = &sine(n % T, 0);
    for (int64_t h = 0; h < H; ++h)
      for (int64_t part = 0; part < 2; ++part) {
        S* const u = &qkv(n, at.begin(part, h));
        S* const v = u + pairs;
        row.each(pairs, [&](int64_t i) {
          const float a = u[i], b = v[i], s = sign * sin[i];
          u[i] = a * cos[i] - b * s;
          v[i] = b * cos[i] + a * s;
        });
      }
  });
}

template void rotate(const Exec&, const Rotary&, Turn, const Attention<float>&, const Matrix<float>&);
template void rotate(const Exec&, const Rotary&, Turn, const Attention<bf16>&, const Matrix<bf16>&);

}  // namespace lawa
