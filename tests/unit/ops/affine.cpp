// y = x W^T + b
#include "ops/ops.hpp"

#include "reference/central_differences.hpp"
#include "reference/gemm.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using namespace test;

struct Shape {
  int64_t rows, in, out;
};
constexpr Shape shapes[] = {{1, 1, 1}, {5, 3, 7}, {33, 64, 65}, {70, 130, 9}};

Affine random_affine(const Shape& s, bool bias, uint64_t seed) {
  return {random_matrix(s.out, s.in, seed), bias ? random_vector(s.out, seed + 1) : Vector<float>()};
}

TEST(Affine, ForwardAgreesWithReference) {
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(concat(s.rows, " rows, ", s.in, " to ", s.out, bias ? " with bias" : ""));
      const Matrix<float> x = random_matrix(s.rows, s.in, 1), y = filled(s.rows, s.out, not_a_number);
      const Affine p = random_affine(s, bias, 2);
      affine(Exec(), x, p, y);
      const reference::Array expected = reference::affine(in_doubles(x), in_doubles(p.weight), in_doubles(p.bias));
      EXPECT_TRUE(near(values(y), expected.values, tolerance::affine.forward));
    }
}

TEST(Affine, BackwardAddsIntoParametersAndOverwritesTheInputs) {
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(concat(s.rows, " rows, ", s.in, " to ", s.out, bias ? " with bias" : ""));
      const Matrix<float> x = random_matrix(s.rows, s.in, 1), dy = random_matrix(s.rows, s.out, 4);
      const Affine p = random_affine(s, bias, 2), dp = random_affine(s, bias, 5);
      const std::vector<float> old_weight = values(dp.weight), old_bias = values(dp.bias);
      const Matrix<float> dx = filled(s.rows, s.in, not_a_number);
      affine_backward(Exec(), x, p, dy, dx, dp);
      const reference::AffineGradients d = reference::affine_backward(in_doubles(x), in_doubles(p.weight), in_doubles(dy));
      EXPECT_TRUE(near(values(dx), d.x.values, tolerance::affine.backward));
      EXPECT_TRUE(near(values(dp.weight), sum_of(old_weight, d.weight.values), tolerance::affine.backward));
      EXPECT_TRUE(near(values(dp.bias), sum_of(old_bias, d.bias), tolerance::affine.backward));
    }
}

TEST(Affine, BackwardAgreesWithCentralDifferences) {
  const Shape s{5, 3, 7};
  const Matrix<float> x = random_matrix(s.rows, s.in, 1), dy = random_matrix(s.rows, s.out, 4), dx = filled(s.rows, s.in, 0);
  const Affine p = random_affine(s, true, 2), dp{filled(s.out, s.in, 0), zeros<float>("bias", s.out)};
  affine_backward(Exec(), x, p, dy, dx, dp);

  const reference::Array at_x = in_doubles(x), weight = in_doubles(p.weight), cotangent = in_doubles(dy);
  const reference::Values bias = in_doubles(p.bias);
  const auto objective = [&](const reference::Array& input, const reference::Array& w, const reference::Values& b) {
    return reference::dot(cotangent.values, reference::affine(input, w, b).values);
  };
  const auto of_x = [&](const reference::Values& v) { return objective({s.rows, s.in, v}, weight, bias); };
  const auto of_weight = [&](const reference::Values& v) { return objective(at_x, {s.out, s.in, v}, bias); };
  const auto of_bias = [&](const reference::Values& v) { return objective(at_x, weight, v); };
  EXPECT_TRUE(near(values(dx), reference::central_differences(of_x, at_x.values), tolerance::affine.backward));
  EXPECT_TRUE(near(values(dp.weight), reference::central_differences(of_weight, weight.values), tolerance::affine.backward));
  EXPECT_TRUE(near(values(dp.bias), reference::central_differences(of_bias, bias), tolerance::affine.backward));
}

TEST(Affine, BiasGradientIsSummedInTheOrderOfTheRows) {
  const int64_t N = 200, out = 130;
  const Matrix<float> x = random_matrix(N, 1, 1), dy = random_matrix(N, out, 2), dx = filled(N, 1, 0);
  const Affine p = random_affine({N, 1, out}, true, 3), dp{filled(out, 1, 0), random_vector(out, 4)};
  std::vector<float> expected = values(dp.bias), sums(static_cast<size_t>(out));
  const std::vector<float> terms = values(dy);
  for (size_t i = 0; i < terms.size(); ++i) sums[i % sums.size()] += terms[i];
  for (size_t c = 0; c < sums.size(); ++c) expected[c] += sums[c];
  affine_backward(Exec(), x, p, dy, dx, dp);
  EXPECT_TRUE(same_bits(values(dp.bias), expected));
}

}  // namespace
}  // namespace lawa
