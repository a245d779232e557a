// y = x W^T + b, and what may be done with it in one.
#include <gmock/gmock.h>

#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/unfused.hpp"
#include "reference/central_differences.hpp"
#include "reference/gelu.hpp"
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

struct Shape {
  int64_t rows, in, out;
};
constexpr Shape shapes[] = {{1, 1, 1}, {5, 3, 7}, {33, 64, 65}, {70, 130, 9}, {48, 64, 128}};  // the last one's rows are of whole vectors

template <class S>
struct AffineTest : WithProducts<S> {};
TYPED_TEST_SUITE(AffineTest, NumberTypes, NumberName);

template <class S = float>
Affine<S> random_affine(const Shape& s, bool bias, uint64_t seed) {
  return {random_matrix<S>(s.out, s.in, seed), bias ? random_vector<S>(s.out, seed + 1) : Vector<S>()};
}
std::string words(const Shape& s, bool bias) { return concat(s.rows, " rows, ", s.in, " to ", s.out, bias ? " with bias" : ""); }

TYPED_TEST(AffineTest, ForwardAgreesWithReference) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(words(s, bias));
      const Matrix<S> x = random_matrix<S>(s.rows, s.in, 1), y = filled<S>(s.rows, s.out, not_a_number);
      const Affine<S> p = random_affine<S>(s, bias, 2);
      affine(Exec(), x, p, y);
      const reference::Array expected = reference::affine(in_doubles(x), in_doubles(p.weight), in_doubles(p.bias));
      // The product is rounded before the bias comes to it, and the sum again.
      const double before_the_bias = bias ? rounding<S> : 0;
      EXPECT_TRUE(near_once_rounded<S>(values(y), expected.values, tolerance::affine.forward + before_the_bias));
    }
}

TYPED_TEST(AffineTest, AddedToAResidualAgreesWithReference) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(words(s, bias));
      const Matrix<S> x = random_matrix<S>(s.rows, s.in, 1);
      const Matrix<float> residual = random_matrix(s.rows, s.out, 4), y = filled(s.rows, s.out, not_a_number);
      const Affine<S> p = random_affine<S>(s, bias, 2);
      const std::vector<float> old_residual = values(residual);
      affine_add(Exec(), x, p, residual, y);
      const reference::Array product = reference::affine(in_doubles(x), in_doubles(p.weight), in_doubles(p.bias));
      EXPECT_TRUE(near(values(y), sum_of(old_residual, product.values), tolerance::affine.forward));
      EXPECT_TRUE(same_bits(values(residual), old_residual));
    }
}

TYPED_TEST(AffineTest, RefusesResidualsOfOtherShapesAndInPlace) {
  using S = TypeParam;
  const Matrix<S> x = random_matrix<S>(5, 3, 1);
  const Affine<S> p = random_affine<S>({5, 3, 7}, true, 2);
  const Matrix<float> y = filled(5, 7, 0), narrow = filled(5, 6, 0);
  EXPECT_THAT(error_of([&] { affine_add(Exec(), x, p, narrow, y); }), HasSubstr("a residual (5, 6) for (5, 7)"));
  EXPECT_THAT(error_of([&] { affine_add(Exec(), x, p, y, y); }), HasSubstr("where the residual is"));
}

/// One form of gelu with its reference and the reference's derivative.
struct Form {
  Gelu gelu;
  double (*value)(double);
  double (*slope)(double);
};
constexpr Form forms[] = {{Gelu::tanh, reference::gelu_tanh, reference::gelu_tanh_slope},
                          {Gelu::erf, reference::gelu_erf, reference::gelu_erf_slope}};

double largest(const reference::Values& v) {
  double norm = 0;
  for (const double x : v) norm = std::max(norm, std::abs(x));
  return norm;
}

TYPED_TEST(AffineTest, WithGeluAgreesWithReference) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const Form& form : forms)
      for (const bool bias : {false, true}) {
        SCOPED_TRACE(words(s, bias));
        const Matrix<S> x = random_matrix<S>(s.rows, s.in, 1), f = filled<S>(s.rows, s.out, not_a_number), g = filled<S>(s.rows, s.out, not_a_number);
        const Affine<S> p = random_affine<S>(s, bias, 2);
        affine_gelu(Exec(), x, p, form.gelu, f, g);
        reference::Values expected = reference::affine(in_doubles(x), in_doubles(p.weight), in_doubles(p.bias)).values;
        const double before_the_bias = bias ? rounding<S> : 0;
        EXPECT_TRUE(near_once_rounded<S>(values(f), expected, tolerance::affine.forward + before_the_bias));
        for (double& value : expected) value = form.value(value);
        // Of f as it was rounded, or as it was before: its slope is at most 1.13.
        const double of_f = 1.13 * (tolerance::affine.forward + rounding<S> + before_the_bias);
        EXPECT_TRUE(near_once_rounded<S>(values(g), expected, tolerance::gelu.forward + largest(in_doubles(f).values) / largest(expected) * of_f));
      }
}

TYPED_TEST(AffineTest, BackwardThroughGeluAgreesWithReference) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const Form& form : forms)
      for (const float kept : {0.f, 1.f}) {
        SCOPED_TRACE(concat(words(s, true), ", kept ", kept));
        const Matrix<S> f = random_matrix<S>(s.rows, s.in, 3), g = random_matrix<S>(s.rows, s.in, 6), dy = random_matrix<S>(s.rows, s.out, 4);
        const Matrix<S> df = filled<S>(s.rows, s.in, not_a_number);
        const Affine<S> p = random_affine<S>(s, true, 2);
        const Affine<float> dp = random_affine(s, true, 5);
        std::vector<float> old_weight = values(dp.weight), old_bias = values(dp.bias);
        for (float& value : old_weight) value *= kept;
        affine_gelu_backward(Exec(), g, p, dy, form.gelu, f, df, dp, kept);
        reference::AffineGradients d = reference::affine_backward(in_doubles(g), in_doubles(p.weight), in_doubles(dy));
        const reference::Values at_f = in_doubles(f).values;
        for (size_t i = 0; i < at_f.size(); ++i) d.x.values[i] *= form.slope(at_f[i]);
        // The product may be rounded before gelu's slope comes to it.
        EXPECT_TRUE(near_once_rounded<S>(values(df), d.x.values, tolerance::affine.backward + tolerance::gelu.backward + 1.13 * rounding<S>));
        EXPECT_TRUE(near(values(dp.weight), sum_of(old_weight, d.weight.values), tolerance::affine.backward));
        EXPECT_TRUE(near(values(dp.bias), sum_of(old_bias, d.bias), tolerance::affine.backward));
      }
}

TYPED_TEST(AffineTest, BackwardAddsIntoParametersAndOverwritesTheInputs) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(words(s, bias));
      const Matrix<S> x = random_matrix<S>(s.rows, s.in, 1), dy = random_matrix<S>(s.rows, s.out, 4);
      const Affine<S> p = random_affine<S>(s, bias, 2);
      const Affine<float> dp = random_affine(s, bias, 5);
      const std::vector<float> old_weight = values(dp.weight), old_bias = values(dp.bias);
      const Matrix<S> dx = filled<S>(s.rows, s.in, not_a_number);
      affine_backward(Exec(), x, p, dy, dx, dp);
      const reference::AffineGradients d = reference::affine_backward(in_doubles(x), in_doubles(p.weight), in_doubles(dy));
      EXPECT_TRUE(near_once_rounded<S>(values(dx), d.x.values, tolerance::affine.backward));
      EXPECT_TRUE(near(values(dp.weight), sum_of(old_weight, d.weight.values), tolerance::affine.backward));
      EXPECT_TRUE(near(values(dp.bias), sum_of(old_bias, d.bias), tolerance::affine.backward));
    }
}

TYPED_TEST(AffineTest, BackwardAgreesWithCentralDifferences) {
  using S = TypeParam;
  const Shape s{5, 3, 7};
  const Matrix<S> x = random_matrix<S>(s.rows, s.in, 1), dy = random_matrix<S>(s.rows, s.out, 4), dx = filled<S>(s.rows, s.in, 0);
  const Affine<S> p = random_affine<S>(s, true, 2);
  const Affine<float> dp{filled(s.out, s.in, 0), zeros<float>("bias", s.out)};
  affine_backward(Exec(), x, p, dy, dx, dp);

  const reference::Array at_x = in_doubles(x), weight = in_doubles(p.weight), cotangent = in_doubles(dy);
  const reference::Values bias = in_doubles(p.bias);
  const auto objective = [&](const reference::Array& input, const reference::Array& w, const reference::Values& b) {
    return reference::dot(cotangent.values, reference::affine(input, w, b).values);
  };
  const auto of_x = [&](const reference::Values& v) { return objective({s.rows, s.in, v}, weight, bias); };
  const auto of_weight = [&](const reference::Values& v) { return objective(at_x, {s.out, s.in, v}, bias); };
  const auto of_bias = [&](const reference::Values& v) { return objective(at_x, weight, v); };
  EXPECT_TRUE(near_once_rounded<S>(values(dx), reference::central_differences(of_x, at_x.values), tolerance::affine.backward));
  EXPECT_TRUE(near(values(dp.weight), reference::central_differences(of_weight, weight.values), tolerance::affine.backward));
  EXPECT_TRUE(near(values(dp.bias), reference::central_differences(of_bias, bias), tolerance::affine.backward));
}

TYPED_TEST(AffineTest, BiasGradientIsSummedInTheOrderOfTheRows) {
  using S = TypeParam;
  const int64_t N = 200, out = 130;
  const Matrix<S> x = random_matrix<S>(N, 1, 1), dy = random_matrix<S>(N, out, 2), dx = filled<S>(N, 1, 0);
  const Affine<S> p = random_affine<S>({N, 1, out}, true, 3);
  const Affine<float> dp{filled(out, 1, 0), random_vector(out, 4)};
  std::vector<float> expected = values(dp.bias), sums(static_cast<size_t>(out));
  const std::vector<S> terms = values(dy);
  for (size_t i = 0; i < terms.size(); ++i) sums[i % sums.size()] += terms[i];
  for (size_t c = 0; c < sums.size(); ++c) expected[c] += sums[c];
  affine_backward(Exec(), x, p, dy, dx, dp);
  EXPECT_TRUE(same_bits(values(dp.bias), expected));
}

/// Products with what comes after them in one, against the same one at a time: on a device, and where its library has a kernel for it.
struct FusedProduct : WithProducts<bf16> {
  static constexpr Shape shape{256, 64, 128};
  const Matrix<bf16> x = random_matrix<bf16>(shape.rows, shape.in, 1);
  const Affine<bf16> biased = random_affine<bf16>(shape, true, 2), bare{biased.weight, {}};

  /// op of x W^T + b; false where there is no kernel.
  template <class Out>
  bool done(const Affine<bf16>& p, detail::Epilogue epilogue, const Matrix<Out>& y) const {
    if (rows(p.bias) > 0) epilogue.bias = p.bias.data();
    return fused_gemm(Exec(), block(x), Transpose::no, block(p.weight), Transpose::yes, epilogue, block(y));
  }
};
constexpr const char* no_kernel = "this build's library has no kernel for both";
constexpr double some_roundings = 3 * rounding<bf16>;  // of the product, of the sum, of its gelu

TEST_F(FusedProduct, AddsABias) {
  const Matrix<bf16> y = filled<bf16>(shape.rows, shape.out, not_a_number), expected = filled<bf16>(shape.rows, shape.out, not_a_number);
  if (!done(biased, {}, y)) GTEST_SKIP() << no_kernel;
  unfused::affine(Exec(), x, biased, expected);
  EXPECT_TRUE(near(in_doubles(y).values, in_doubles(expected).values, some_roundings));
}

TEST_F(FusedProduct, AddsAResidual) {
  const Matrix<float> residual = random_matrix(shape.rows, shape.out, 4), y = filled(shape.rows, shape.out, not_a_number);
  const Matrix<float> expected = filled(shape.rows, shape.out, not_a_number);
  if (!done(bare, {.residual = residual.data()}, y)) GTEST_SKIP() << no_kernel;
  unfused::affine_add(Exec(), x, bare, residual, expected);
  EXPECT_TRUE(near(values(y), values(expected), tolerance::affine.forward));
}

TEST_F(FusedProduct, AddsABiasAndAResidual) {
  const Matrix<float> residual = random_matrix(shape.rows, shape.out, 4), y = filled(shape.rows, shape.out, not_a_number);
  const Matrix<float> expected = filled(shape.rows, shape.out, not_a_number);
  if (!done(biased, {.residual = residual.data()}, y)) GTEST_SKIP() << no_kernel;
  unfused::affine_add(Exec(), x, biased, residual, expected);
  EXPECT_TRUE(near(values(y), values(expected), tolerance::affine.forward));
}

TEST_F(FusedProduct, TakesGeluWithAndWithoutABias) {
  for (const Affine<bf16>& p : {bare, biased}) {
    const Matrix<bf16> f = filled<bf16>(shape.rows, shape.out, not_a_number), g = filled<bf16>(shape.rows, shape.out, not_a_number);
    const Matrix<bf16> expected_f = filled<bf16>(shape.rows, shape.out, not_a_number), expected = filled<bf16>(shape.rows, shape.out, not_a_number);
    if (!done(p, {.gelu = detail::Epilogue::Gelu::forward, .gelu_input = f.data()}, g)) GTEST_SKIP() << no_kernel;
    unfused::affine_gelu(Exec(), x, p, Gelu::tanh, expected_f, expected);
    EXPECT_TRUE(near(in_doubles(f).values, in_doubles(expected_f).values, some_roundings));
    EXPECT_TRUE(near(in_doubles(g).values, in_doubles(expected).values, some_roundings));
  }
}

TEST_F(FusedProduct, MultipliesWithGelusSlope) {
  const Matrix<bf16> f = random_matrix<bf16>(shape.rows, shape.in, 6), dy = random_matrix<bf16>(shape.rows, shape.out, 4);
  const Matrix<bf16> df = filled<bf16>(shape.rows, shape.in, not_a_number), expected = filled<bf16>(shape.rows, shape.in, not_a_number);
  const std::vector<bf16> old_f = values(f);
  if (!fused_gemm(Exec(), block(dy), Transpose::no, block(bare.weight), Transpose::no,
                  {.gelu = detail::Epilogue::Gelu::backward, .gelu_input = f.data()}, block(df)))
    GTEST_SKIP() << no_kernel;
  unfused::affine_gelu_backward(Exec(), x, bare, dy, Gelu::tanh, f, expected, random_affine(shape, false, 5));
  EXPECT_TRUE(near(in_doubles(df).values, in_doubles(expected).values, some_roundings));
  EXPECT_TRUE(same_bits(values(f), old_f));
}

}  // namespace
}  // namespace lawa
