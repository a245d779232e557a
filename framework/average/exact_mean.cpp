#include "average/exact_mean.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace lawa {
namespace {

constexpr int64_t block = 256;  // elements whose sums stay in the first-level cache

/// Significant bits, and how many of float32's lowest bits (units of 2^-149) a format lacks among its denormals.
struct Format {
  int digits, missing;
};
constexpr Format format_of(Rounding rounding) {
  constexpr Format formats[] = {{24, 0}, {8, 16}, {11, 125}};
  return formats[static_cast<int>(rounding)];
}

/// f(digits), a constant, for what is rounded to.
template <class F>
void with_digits(Rounding rounding, F&& f) {
  if (rounding == Rounding::float32) f(std::integral_constant<int, 24>());
  if (rounding == Rounding::bfloat16) f(std::integral_constant<int, 8>());
  if (rounding == Rounding::float16) f(std::integral_constant<int, 11>());
}

constexpr double whole = 0x1.8p52;  // a number plus this has no fraction
/// The smallest number of a format that isn't a denormal; the denormals' distance is this times 2^(1 - digits).
template <int digits>
constexpr double smallest_normal = digits == 11 ? 0x1p-14 : 0x1p-126;
template <int digits>
constexpr double denormals_a_unit = digits == 11 ? 0x1p24 : digits == 8 ? 0x1p133 : 0x1p149;

/// Rounds to float32 (24 digits), bfloat16 (8) or float16 (11), ties to even. Without branches, so that loops over it become vector code.
template <int digits>
float rounded(double x) {
  if constexpr (digits == 24) return static_cast<float>(x);
  constexpr double unit = denormals_a_unit<digits>;
  const double denormal = (x * unit + whole - whole) / unit;
  constexpr int dropped = 53 - digits;
  const uint64_t bits = std::bit_cast<uint64_t>(x), up = (uint64_t{1} << (dropped - 1)) - 1 + (bits >> dropped & 1);
  const auto normal = std::bit_cast<double>((bits + up) & ~((uint64_t{1} << dropped) - 1));
  const double number = std::abs(x) < smallest_normal<digits> ? std::copysign(denormal, x) : normal;
  return static_cast<float>(x != x ? std::numeric_limits<double>::quiet_NaN() : number);  // a carry could make a number of a NaN
}

/// True where a float64 quotient can't be rounded to `digits` as the exact one would be: halfway between two results although it
/// isn't exact, or among the denormals of float32 and bfloat16.
template <int digits>
bool doubtful(double quotient, double divisor, double dividend) {
  constexpr uint64_t dropped = (uint64_t{1} << (53 - digits)) - 1;
  bool halfway = (std::bit_cast<uint64_t>(quotient) & dropped) == (dropped >> 1) + 1;
  const bool inexact = quotient * divisor != dividend;  // a halfway quotient has few bits: its product is exact
  if constexpr (digits == 11) {  // many weights are that small
    const double units = quotient * denormals_a_unit<digits>;
    halfway = std::abs(quotient) < smallest_normal<digits> ? std::abs(units - (units + whole - whole)) == 0.5 : halfway;
    return halfway & inexact;
  }
  const bool tiny = (std::abs(quotient) < 0x1p-126) & (quotient != 0);
  return (halfway & inexact) | tiny;
}

/// Sums of one block of elements in float64, and what tells whether they are exact.
struct BlockSums {
  double sum[block];
  float largest[block], smallest[block];  ///< magnitudes; zeros don't count for the smallest

  void begin(const float* x, int64_t n) {
    for (int64_t i = 0; i < n; ++i) sum[i] = static_cast<double>(x[i]), largest[i] = magnitude(x[i]), smallest[i] = unless_zero(x[i]);
  }
  /// Adds `count` members' elements from `begin` on, one after the other.
  template <size_t count>
  void add(const float* const* members, int64_t begin, int64_t n) {
    std::array<const float*, count> x;
    for (size_t j = 0; j < count; ++j) x[j] = members[j] + begin;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      double total = sum[i];
      float high = largest[i], low = smallest[i];
      for (size_t j = 0; j < count; ++j) {
        total += static_cast<double>(x[j][i]);
        high = std::max(high, magnitude(x[j][i]));
        low = std::min(low, unless_zero(x[j][i]));
      }
      sum[i] = total;
      largest[i] = high;
      smallest[i] = low;
    }
  }
  /// True where no addition of `count` numbers can have been rounded: all of them are multiples of the smallest's last place, which
  /// is at least 2^-24 of it, and so are their sums, which fit 53 bits then.
  bool exact(int64_t i, double count) const { return count * static_cast<double>(largest[i]) <= 0x1p29 * static_cast<double>(smallest[i]); }

 private:
  static float magnitude(float x) { return std::abs(x); }
  static float unless_zero(float x) { return x == 0 ? std::numeric_limits<float>::infinity() : std::abs(x); }
};

/// Divides, rounds, and says which elements must be done again.
template <int digits>
bool divide(const BlockSums& sums, double count, int64_t n, float* out, uint64_t* again) {
  uint64_t any = 0;
#pragma omp simd reduction(| : any)
  for (int64_t i = 0; i < n; ++i) {
    const double quotient = sums.sum[i] / count;
    out[i] = rounded<digits>(quotient);
    again[i] = static_cast<uint64_t>(!sums.exact(i, count) | doubtful<digits>(quotient, count, sums.sum[i]));
    any |= again[i];
  }
  return any != 0;
}

template <int digits>
void block_means(std::span<const float* const> members, std::span<const MeanOfFirst> wanted, int64_t begin, int64_t n,
                 Rounding rounding) {
  BlockSums sums;
  uint64_t again[block];
  sums.begin(members[0] + begin, n);
  size_t added = 1;
  for (const auto& [count, out] : wanted) {
    const auto wanted_members = static_cast<size_t>(count);
    for (; added + 4 <= wanted_members; added += 4) sums.add<4>(&members[added], begin, n);  // four at once: fewer trips to the cache
    for (; added < wanted_members; ++added) sums.add<1>(&members[added], begin, n);
    if (!divide<digits>(sums, static_cast<double>(count), n, out + begin, again)) continue;
    std::vector<float> numbers(added);
    for (int64_t i = 0; i < n; ++i) {
      if (again[i] == 0) continue;
      for (size_t j = 0; j < added; ++j) numbers[j] = members[j][begin + i];
      if (std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); })) out[begin + i] = exact_mean(numbers, rounding);
    }
  }
}

/// A sum of float32 numbers in units of 2^-149, the smallest of them: 384 bits hold 2^100 of the largest.
class ExactSum {
 public:
  void add(float x) {
    const uint32_t bits = std::bit_cast<uint32_t>(x), exponent = bits >> 23 & 255;
    const uint64_t mantissa = (bits & 0x7fffff) | (exponent > 0 ? 1u << 23 : 0u);
    const uint32_t shift = exponent > 0 ? exponent - 1 : 0, offset = shift % 64;
    Limbs term{};
    term[shift / 64] = mantissa << offset;
    if (offset > 40) term[shift / 64 + 1] = mantissa >> (64 - offset);
    plus((bits >> 31) != 0 ? negated(term) : term);
  }

  float mean(uint64_t count, Format format) const {
    const bool negative = limbs_.back() >> 63 != 0;
    Limbs quotient = negative ? negated(limbs_) : limbs_;
    unsigned __int128 rest = 0;
    for (size_t i = quotient.size(); i-- > 0;) {  // long division, the highest limb first
      rest = rest << 64 | quotient[i];
      quotient[i] = static_cast<uint64_t>(rest / count);
      rest %= count;
    }
    const int dropped = std::max(format.missing, width(quotient) - format.digits);
    uint64_t kept = bits_from(quotient, dropped);
    const int below = compare_with_half(quotient, dropped, static_cast<uint64_t>(rest), count);
    if (below > 0 || (below == 0 && (kept & 1) != 0)) ++kept;
    const double magnitude = std::ldexp(static_cast<double>(kept), dropped - 149);
    return static_cast<float>(negative ? -magnitude : magnitude);
  }

 private:
  using Limbs = std::array<uint64_t, 6>;  ///< the lowest first, two's complement

  static Limbs negated(Limbs x) {
    bool carry = true;
    for (uint64_t& limb : x) limb = ~limb + (carry ? 1 : 0), carry = carry && limb == 0;
    return x;
  }
  void plus(const Limbs& x) {
    unsigned __int128 carry = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      carry += static_cast<unsigned __int128>(limbs_[i]) + x[i];
      limbs_[i] = static_cast<uint64_t>(carry);
      carry >>= 64;
    }
  }
  static int width(const Limbs& x) {
    for (size_t i = x.size(); i-- > 0;)
      if (x[i] != 0) return static_cast<int>(64 * i) + static_cast<int>(std::bit_width(x[i]));
    return 0;
  }
  static bool bit(const Limbs& x, int at) { return (x[static_cast<size_t>(at / 64)] >> (at % 64) & 1) != 0; }
  /// The bits from `at` on; they fit 64.
  static uint64_t bits_from(const Limbs& x, int at) {
    uint64_t value = 0;
    for (int i = width(x) - 1; i >= at; --i) value = value << 1 | (bit(x, i) ? 1 : 0);
    return value;
  }
  /// Whether what lies below bit `at`, rest/count included, is less than, equal to or more than half a unit of bit `at`.
  static int compare_with_half(const Limbs& x, int at, uint64_t rest, uint64_t count) {
    if (at == 0) return 2 * rest < count ? -1 : 2 * rest == count ? 0 : 1;
    if (!bit(x, at - 1)) return -1;
    bool more = rest != 0;
    for (int i = 0; i < at - 1; ++i) more = more || bit(x, i);
    return more ? 1 : 0;
  }

  Limbs limbs_{};
};

}  // namespace

void uniform_means(std::span<const float* const> members, std::span<const MeanOfFirst> wanted, int64_t n, Rounding rounding) {
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t some = std::min(block, n - begin);
    with_digits(rounding, [&](auto digits) { block_means<digits>(members, wanted, begin, some, rounding); });
  }
}

void weighted_mean(std::span<const float* const> members, std::span<const double> weights, int64_t n, Rounding rounding, float* out) {
  double total = 0;
  for (const double weight : weights) total += weight;
  double sum[block];
  for (int64_t begin = 0; begin < n; begin += block) {
    const int64_t some = std::min(block, n - begin);
    std::fill_n(sum, some, -0.0);  // -0 + x = x, the sign of zero included
    for (size_t j = 0; j < members.size(); ++j) {
      const float* const x = members[j] + begin;
      const double weight = weights[j];
#pragma omp simd
      for (int64_t i = 0; i < some; ++i) sum[i] += weight * static_cast<double>(x[i]);
    }
    with_digits(rounding, [&](auto digits) {
      for (int64_t i = 0; i < some; ++i) out[begin + i] = rounded<digits>(sum[i] / total);
    });
  }
}

float exact_mean(std::span<const float> numbers, Rounding rounding) {
  ExactSum sum;
  for (const float number : numbers) sum.add(number);
  return sum.mean(numbers.size(), format_of(rounding));
}

}  // namespace lawa
