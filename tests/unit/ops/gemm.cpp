// The matrix product, on blocks of larger matrices.
#include "ops/gemm.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/stop_request.hpp"
#include "core/timer.hpp"
#include "ops/gemm_rate.hpp"
#include "reference/gemm.hpp"
#include "support/errors.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"
#include "support/with_products.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::HasSubstr;

/// What a product is made of, and what it becomes.
template <class A, class C>
struct Product {
  using In = A;
  using Out = C;
};
struct ProductName {
  template <class P>
  static std::string GetName(int) {
    return NumberName::GetName<typename P::In>(0) + "_to_" + NumberName::GetName<typename P::Out>(0);
  }
};

template <class P>
class Gemm : public WithProducts<typename P::In> {};
using Products = testing::Types<Product<float, float>, Product<bf16, float>, Product<bf16, bf16>>;
TYPED_TEST_SUITE(Gemm, Products, ProductName);

/// A block of a larger matrix whose other elements are NaN, so that a read or a write outside the block shows.
template <class T>
struct Operand {
  Matrix<T> room;
  Range rows, columns;

  Block<T> block() const { return lawa::block(room, rows, columns); }
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
template <class T>
Operand<T> empty_operand(int64_t n, int64_t m) {
  constexpr int64_t above = 1, below = 2, left = 8, right = 8;  // rows of whole vectors stay such
  return {filled<T>(above + n + below, left + m + right, not_a_number), {above, above + n}, {left, left + m}};
}

/// An (n, m) block of normally distributed numbers.
template <class T>
Operand<T> operand(int64_t n, int64_t m, uint64_t seed) {
  const Operand<T> o = empty_operand<T>(n, m);
  std::vector<T> all = values(o.room);
  const std::vector<T> inside = kept_as<T>(normals(n * m, seed));
  for (int64_t i = 0; i < n; ++i)
    std::copy_n(inside.begin() + i * m, m, all.begin() + (o.rows.begin + i) * columns(o.room) + o.columns.begin);
  return {matrix(rows(o.room), columns(o.room), all), o.rows, o.columns};
}

struct Shape {
  int64_t m, n, k;
};
constexpr Shape shapes[] = {{1, 1, 1}, {7, 5, 3}, {1, 65, 9}, {63, 1, 17}, {33, 129, 64}, {70, 66, 257}, {64, 128, 48}};

/// f(op(A), op(B), transposes …) for every shape and every choice of transposition.
template <class T, class F>
void for_every_product(const F& f) {
  for (const auto& [m, n, k] : shapes)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        SCOPED_TRACE(concat("m ", m, ", n ", n, ", k ", k, ta ? ", A transposed" : "", tb ? ", B transposed" : ""));
        f(ta ? operand<T>(k, m, 1) : operand<T>(m, k, 1), ta, tb ? operand<T>(n, k, 2) : operand<T>(k, n, 2), tb, m, n);
      }
}
Transpose transpose(bool yes) { return yes ? Transpose::yes : Transpose::no; }

TYPED_TEST(Gemm, OverwritesWhereBetaIsZeroAndTouchesNothingElse) {
  using In = typename TypeParam::In;
  using Out = typename TypeParam::Out;
  for_every_product<In>([](const Operand<In>& a, bool ta, const Operand<In>& b, bool tb, int64_t m, int64_t n) {
    const reference::Array exact = product(a.inside(), ta, b.inside(), tb);
    for (const float alpha : {1.0f, 0.3f}) {  // 0.3: it weighs the sums, and is rounded to nothing but a float
      const Operand<Out> c = empty_operand<Out>(m, n);
      reference::Values expected = exact.values;
      for (double& value : expected) value *= static_cast<double>(alpha);
      gemm(Exec(), alpha, a.block(), transpose(ta), b.block(), transpose(tb), 0, c.block());
      EXPECT_TRUE(near_once_rounded<Out>(c.inside().values, expected, tolerance::gemm.forward));
      EXPECT_EQ(c.numbers(), m * n);
    }
  });
}

TYPED_TEST(Gemm, WeighsTheProductWithAlphaAndTheOldValueWithBeta) {
  using In = typename TypeParam::In;
  using Out = typename TypeParam::Out;
  for_every_product<In>([](const Operand<In>& a, bool ta, const Operand<In>& b, bool tb, int64_t m, int64_t n) {
    const reference::Array exact = product(a.inside(), ta, b.inside(), tb);
    constexpr std::pair<float, float> weights[] = {{0.75f, -1.5f}, {1, 1}, {0.3f, 1}};
    const double before_the_sum = kernels_run_at_once ? 0 : rounding<Out>;  // cuBLAS rounds the product before the old value comes to it
    for (const auto& [alpha, beta] : weights) {
      const Operand<Out> c = operand<Out>(m, n, 3);
      reference::Values expected = c.inside().values;
      for (size_t i = 0; i < expected.size(); ++i)
        expected[i] = static_cast<double>(alpha) * exact.values[i] + static_cast<double>(beta) * expected[i];
      gemm(Exec(), alpha, a.block(), transpose(ta), b.block(), transpose(tb), beta, c.block());
      EXPECT_TRUE(near_once_rounded<Out>(c.inside().values, expected, tolerance::gemm.forward + before_the_sum));
      EXPECT_EQ(c.numbers(), m * n);
    }
  });
}

TYPED_TEST(Gemm, RepeatsBitForBit) {
  using In = typename TypeParam::In;
  using Out = typename TypeParam::Out;
  for (const auto& [m, n, k] : {Shape{70, 66, 257}, {64, 64, 4096}}) {  // the second: sums so long that they may be shared out
    const Operand<In> a = operand<In>(m, k, 1), b = operand<In>(n, k, 2);
    const Operand<Out> first = empty_operand<Out>(m, n), second = empty_operand<Out>(m, n);
    for (const Operand<Out>& c : {first, second}) gemm(Exec(), 1, a.block(), Transpose::no, b.block(), Transpose::yes, 0, c.block());
    EXPECT_TRUE(same_bits(first.inside().values, second.inside().values));
  }
}

TYPED_TEST(Gemm, RefusesShapesThatDoNotFit) {
  struct Sizes {
    int64_t rows, columns;
  };
  const auto product_of = [](Sizes a, Transpose ta, Sizes b, Transpose tb, Sizes c) {
    const auto nowhere = [](auto* data, Sizes s) { return Block{data, s.rows, s.columns, s.columns}; };
    typename TypeParam::In* const in = nullptr;  // refused before any memory is touched
    typename TypeParam::Out* const out = nullptr;
    return [=] { gemm(Exec(), 1, nowhere(in, a), ta, nowhere(in, b), tb, 0, nowhere(out, c)); };
  };
  constexpr auto no = Transpose::no, yes = Transpose::yes;
  EXPECT_THAT(error_of(product_of({2, 3}, no, {4, 5}, no, {2, 5})), HasSubstr("(2, 3) times (4, 5)"));
  EXPECT_THAT(error_of(product_of({2, 3}, no, {3, 5}, no, {3, 5})), HasSubstr("into (3, 5)"));
  EXPECT_THAT(error_of(product_of({2, 3}, no, {3, 5}, no, {2, 4})), HasSubstr("into (2, 4)"));
  EXPECT_THAT(error_of(product_of({2, 3}, yes, {3, 5}, no, {3, 5})), HasSubstr("(3, 2) times (3, 5)"));
  EXPECT_THAT(error_of(product_of({2, 3}, no, {3, 5}, yes, {2, 5})), HasSubstr("(2, 3) times (5, 3)"));
}

/// Multiplies for a while as thousands of signals a second come in; true when all products repeat. For a process of its own.
bool repeats_under_signals() {
  note_stop_signals();
  std::thread([here = ::pthread_self()] {
    for (;; std::this_thread::sleep_for(std::chrono::microseconds(200))) ::pthread_kill(here, SIGUSR1);
  }).detach();
  bool same = true;
  for (const Stopwatch clock; same && clock.seconds() < 0.5;)
    for (const auto& [m, n, k] : {Shape{128, 256, 32}, Shape{256, 32, 128}, Shape{128, 32, 256}})
      for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
          const auto a = ta ? operand<float>(k, m, 1) : operand<float>(m, k, 1), b = tb ? operand<float>(n, k, 2) : operand<float>(k, n, 2);
          const Operand<float> first = empty_operand<float>(m, n), second = empty_operand<float>(m, n);
          for (const Operand<float>& c : {first, second}) gemm(Exec(), 1, a.block(), transpose(ta), b.block(), transpose(tb), 0, c.block());
          same = same && same_bits(first.inside().values, second.inside().values);
        }
  return same && stop_request() == user_signal;
}

TEST(GemmUnderSignals, RepeatsAndLeavesTheHeapWhole) {
  if (!kernels_run_at_once) GTEST_SKIP() << "a process that was forked off can't use its parent's device";
  EXPECT_EXIT(std::_Exit(repeats_under_signals() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(GemmRate, IsPositiveAndFinite) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    if (!multiplies_in(precision)) continue;
    const double rate = measured_gemm_rate(Exec(), precision, 64, 0.01);
    EXPECT_GT(rate, 1e6);
    EXPECT_LT(rate, 1e18);
  }
}

}  // namespace
}  // namespace lawa
