// Rotary position embedding (Su et al. 2021): queries and keys are turned by their positions, so that q k^T depends on their distance.
#pragma once
#include "ops/attend.hpp"

namespace lawa {

/// The turns of each position: channels i and i + width/2 of a head, 0 <= i < width/2, are turned together, by the angle
/// t / base^(2i/width) at position t; channels from `width` on stay as they are (GPT-NeoX; Black et al. 2022).
struct Rotary {
  int64_t width = 0;
  Matrix<float> cosine, sine;  ///< (positions, width/2)
};
/// Computed in double precision. width is even; 0 turns nothing.
Rotary make_rotary(int64_t positions, int64_t width, double base);

enum class Turn { forward, backward };

/// Turns q and k of qkv (N, 3C) in place; row n is position n mod T. backward turns the other way: forward's inverse, and what takes the
/// gradient of what it gave to the gradient of what it was given.
template <class S>
void rotate(const Exec& exec, const Rotary& rotary, Turn turn, const Attention<S>& shape, const Matrix<S>& qkv);

}  // namespace lawa
