// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): random numbers as a pure
// function of (seed, stream, index), so that they don't depend on who asks, in which order, or on how many ranks.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace lawa {

/// What the numbers are for; two streams of one seed are independent.
enum class RandomStream : uint32_t { weights = 1, batches = 2, validation = 3, test = 4 };

using PhiloxBlock = std::array<uint32_t, 4>;

constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// 128 random bits for block `index` of a stream.
constexpr PhiloxBlock random_block(uint64_t seed, RandomStream stream, uint64_t index) {
  return philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(stream), 0},
                    {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

/// 64 random bits for element `index` of a stream.
constexpr uint64_t random_bits(uint64_t seed, RandomStream stream, uint64_t index) {
  const PhiloxBlock block = random_block(seed, stream, index);
  return uint64_t{block[0]} | uint64_t{block[1]} << 32;
}

/// Uniform in (0, 1), never 0 and never 1: (bits + 1/2) / 2^32.
constexpr double open_uniform(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

/// Standard normal number `index` of a stream (Box–Muller; the four elements of a block of indices share one Philox block).
inline double random_normal(uint64_t seed, RandomStream stream, uint64_t index) {
  const PhiloxBlock block = random_block(seed, stream, index / 4);
  const size_t pair = index % 4 / 2 * 2;
  const double radius = std::sqrt(-2 * std::log(open_uniform(block[pair])));
  const double angle = 2 * std::numbers::pi * open_uniform(block[pair + 1]);
  return radius * (index % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

}  // namespace lawa
