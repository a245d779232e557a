// y = x W^T + b
#include "ops/ops.hpp"

#include "reference/central_differences.hpp"
#include "reference/gemm.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"
#include "support/with_products.hpp"

namespace lawa {
namespace {

using namespace test;

struct Shape {
  int64_t rows, in, out;
};
constexpr Shape shapes[] = {{1, 1, 1}, {5, 3, 7}, {33, 64, 65}, {70, 130, 9}};

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
      const Matrix<float> unrounded = filled(s.rows, s.out, not_a_number);
      const Affine<S> p = random_affine<S>(s, bias, 2);
      affine(Exec(), x, p, y);
      affine(Exec(), x, p, unrounded);
      const reference::Array expected = reference::affine(in_doubles(x), in_doubles(p.weight), in_doubles(p.bias));
      EXPECT_TRUE(near(values(unrounded), expected.values, tolerance::affine.forward));
      // The product is rounded before the bias comes to it, and the sum again.
      const double before_the_bias = bias ? rounding<S> : 0;
      EXPECT_TRUE(near_once_rounded<S>(values(y), expected.values, tolerance::affine.forward + before_the_bias));
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

}  // namespace
}  // namespace lawa
