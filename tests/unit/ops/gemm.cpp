// The matrix product, on blocks of larger matrices.
#include "ops/gemm.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>

#include "ops/gemm_rate.hpp"
#include "reference/gemm.hpp"
#include "support/errors.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::HasSubstr;

/// A block of a larger matrix whose other elements are NaN, so that a read or a write outside the block shows.
struct Operand {
  Matrix<float> room;
  Range rows, columns;

  Block block() const { return lawa::block(room, rows, columns); }
  reference::Array inside() const {
    const reference::Array all = in_doubles(room);
    reference::Array part(rows.size(), columns.size());
    for (int64_t i = 0; i < part.rows; ++i)
      for (int64_t j = 0; j < part.columns; ++j) part(i, j) = all(rows.begin + i, columns.begin + j);
    return part;
  }
  /// Elements of the whole room that are numbers.
  int64_t numbers() const { return std::ranges::count_if(values(room), [](float x) { return !std::isnan(x); }); }
};

/// An (n, m) block of NaN.
Operand empty_operand(int64_t n, int64_t m) {
  constexpr int64_t above = 1, below = 2, left = 3, right = 5;
  return {filled(above + n + below, left + m + right, not_a_number), {above, above + n}, {left, left + m}};
}

/// An (n, m) block of normally distributed numbers.
Operand operand(int64_t n, int64_t m, uint64_t seed) {
  const Operand o = empty_operand(n, m);
  std::vector<float> all = values(o.room);
  const std::vector<float> inside = normals(n * m, seed);
  for (int64_t i = 0; i < n; ++i)
    std::copy_n(inside.begin() + i * m, m, all.begin() + (o.rows.begin + i) * columns(o.room) + o.columns.begin);
  return {matrix(rows(o.room), columns(o.room), all), o.rows, o.columns};
}

struct Shape {
  int64_t m, n, k;
};
constexpr Shape shapes[] = {{1, 1, 1}, {7, 5, 3}, {1, 65, 9}, {63, 1, 17}, {33, 129, 64}, {70, 66, 257}};

/// f(op(A), op(B), transposes …) for every shape and every choice of transposition.
template <class F>
void for_every_product(const F& f) {
  for (const auto& [m, n, k] : shapes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        SCOPED_TRACE(concat("m ", m, ", n ", n, ", k ", k, ta ? ", A transposed" : "", tb ? ", B transposed" : ""));
        f(ta ? operand(k, m, 1) : operand(m, k, 1), ta, tb ? operand(n, k, 2) : operand(k, n, 2), tb, m, n);
      }
}
Transpose transpose(bool yes) { return yes ? Transpose::yes : Transpose::no; }

TEST(Gemm, OverwritesWhereBetaIsZeroAndTouchesNothingElse) {
  for_every_product([](const Operand& a, bool ta, const Operand& b, bool tb, int64_t m, int64_t n) {
    const Operand c = empty_operand(m, n);
    gemm(Exec(), 1, a.block(), transpose(ta), b.block(), transpose(tb), 0, c.block());
    EXPECT_TRUE(near(c.inside().values, product(a.inside(), ta, b.inside(), tb).values, tolerance::gemm.forward));
    EXPECT_EQ(c.numbers(), m * n);
  });
}

TEST(Gemm, WeighsTheProductWithAlphaAndTheOldValueWithBeta) {
  for_every_product([](const Operand& a, bool ta, const Operand& b, bool tb, int64_t m, int64_t n) {
    constexpr float alpha = 0.75f, beta = -1.5f;
    const Operand c = operand(m, n, 3);
    reference::Array expected = product(a.inside(), ta, b.inside(), tb);
    const reference::Values old = c.inside().values;
    for (size_t i = 0; i < old.size(); ++i) expected.values[i] = alpha * expected.values[i] + beta * old[i];
    gemm(Exec(), alpha, a.block(), transpose(ta), b.block(), transpose(tb), beta, c.block());
    EXPECT_TRUE(near(c.inside().values, expected.values, tolerance::gemm.forward));
    EXPECT_EQ(c.numbers(), m * n);
  });
}

/// A block with its numbers rounded to bfloat16, ties to even.
reference::Array in_bfloat16(reference::Array x) {
  for (double& value : x.values) {
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value));
    value = static_cast<double>(std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u));
  }
  return x;
}

TEST(Gemm, RoundsWhatEntersToBfloat16AndNothingElse) {
  if (!multiplies_in(Precision::bf16)) GTEST_SKIP() << "not on this processor or build";
  for_every_product([](const Operand& a, bool ta, const Operand& b, bool tb, int64_t m, int64_t n) {
    const Operand c = operand(m, n, 3), fresh = empty_operand(m, n);
    const reference::Array rounded = product(in_bfloat16(a.inside()), ta, in_bfloat16(b.inside()), tb);
    gemm(Exec(), 1, a.block(), transpose(ta), b.block(), transpose(tb), 0, fresh.block(), Precision::bf16);
    EXPECT_TRUE(near(fresh.inside().values, rounded.values, tolerance::gemm.forward));
    EXPECT_EQ(fresh.numbers(), m * n);
    reference::Values expected = c.inside().values;
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += 0.75 * rounded.values[i];
    gemm(Exec(), 0.75f, a.block(), transpose(ta), b.block(), transpose(tb), 1, c.block(), Precision::bf16);
    EXPECT_TRUE(near(c.inside().values, expected, tolerance::gemm.forward));
    EXPECT_EQ(c.numbers(), m * n);
  });
}

TEST(Gemm, RepeatsBitForBit) {
  const Operand a = operand(70, 257, 1), b = operand(66, 257, 2), first = empty_operand(70, 66), second = empty_operand(70, 66);
  for (const Operand& c : {first, second}) gemm(Exec(), 1, a.block(), Transpose::no, b.block(), Transpose::yes, 0, c.block());
  EXPECT_TRUE(same_bits(first.inside().values, second.inside().values));
}

TEST(Gemm, RefusesShapesThatDoNotFit) {
  const auto product_of = [](Block a, Transpose ta, Block b, Transpose tb, Block c) {
    return [=] { gemm(Exec(), 1, a, ta, b, tb, 0, c); };
  };
  const auto shape = [](int64_t n, int64_t m) { return Block{nullptr, n, m, m}; };  // refused before any memory is touched
  constexpr auto no = Transpose::no, yes = Transpose::yes;
  EXPECT_THAT(error_of(product_of(shape(2, 3), no, shape(4, 5), no, shape(2, 5))), HasSubstr("(2, 3) times (4, 5)"));
  EXPECT_THAT(error_of(product_of(shape(2, 3), no, shape(3, 5), no, shape(3, 5))), HasSubstr("into (3, 5)"));
  EXPECT_THAT(error_of(product_of(shape(2, 3), no, shape(3, 5), no, shape(2, 4))), HasSubstr("into (2, 4)"));
  EXPECT_THAT(error_of(product_of(shape(2, 3), yes, shape(3, 5), no, shape(3, 5))), HasSubstr("(3, 2) times (3, 5)"));
  EXPECT_THAT(error_of(product_of(shape(2, 3), no, shape(3, 5), yes, shape(2, 5))), HasSubstr("(2, 3) times (5, 3)"));
}

TEST(GemmRate, IsPositiveAndFinite) {
  const double rate = measured_gemm_rate(Exec(), Precision::fp32, 64, 0.01);
  EXPECT_GT(rate, 1e6);
  EXPECT_LT(rate, 1e18);
}

}  // namespace
}  // namespace lawa
