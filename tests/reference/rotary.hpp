// Rotary position embedding: channels i and i + width/2 of a query or key at position t are the parts of a complex number, which is
// multiplied by exp(i t / base^(2i/width)).
#pragma once
#include <complex>

#include "reference/attention.hpp"

namespace lawa::reference {

struct RotaryShape {
  int64_t width;
  double base, sign = 1;
};

inline Array rotated(const AttentionShape& shape, const RotaryShape& rotary, Array qkv) {
  each_head(shape, Array(qkv), [&](const AttentionHead& head, int64_t) {
    for (int64_t t = 0; t < shape.length; ++t)
      for (int64_t i = 0; i < rotary.width / 2; ++i)
        for (const int64_t part : {0, 1}) {
          double& real = qkv(head.row + t, head.of(part, i));
          double& imaginary = qkv(head.row + t, head.of(part, i + rotary.width / 2));
          const double exponent = 2 * static_cast<double>(i) / static_cast<double>(rotary.width);
          const auto turned = std::complex(real, imaginary) * std::polar(1.0, rotary.sign * static_cast<double>(t) / std::pow(rotary.base, exponent));
          real = turned.real();
          imaginary = turned.imag();
        }
  });
  return qkv;
}

}  // namespace lawa::reference
