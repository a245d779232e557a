// y = weight * (x - mean)/sqrt(variance + 1e-5) + bias
#include "ops/ops.hpp"

#include "reference/central_differences.hpp"
#include "reference/layer_norm.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using namespace test;

struct Shape {
  int64_t rows, channels;
};
constexpr Shape shapes[] = {{1, 3}, {5, 7}, {3, 64}, {9, 65}, {70, 130}};

template <class S>
struct NormTest : testing::Test {};
TYPED_TEST_SUITE(NormTest, NumberTypes, NumberName);

template <class S = float>
Norm<S> random_norm(int64_t channels, bool bias, uint64_t seed) {
  return {random_vector<S>(channels, seed), bias ? random_vector<S>(channels, seed + 1) : Vector<S>()};
}
NormStatistics empty_statistics(int64_t n) {
  const std::vector<float> nothing(static_cast<size_t>(n), not_a_number);
  return {vector(nothing), vector(nothing)};
}
/// Rows with a mean and a deviation of their own.
Matrix<float> random_input(const Shape& s) { return matrix(s.rows, s.channels, normals(s.rows * s.channels, 1, 1.5, 0.5)); }
std::string words(const Shape& s, bool bias) { return concat(s.rows, " rows, ", s.channels, " channels", bias ? " with bias" : ""); }

TYPED_TEST(NormTest, ForwardAndItsStatisticsAgreeWithReference) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(words(s, bias));
      const Matrix<float> x = random_input(s);
      const Matrix<S> y = filled<S>(s.rows, s.channels, not_a_number);
      const Norm<S> p = random_norm<S>(s.channels, bias, 2);
      const NormStatistics statistics = empty_statistics(s.rows);
      norm(Exec(), x, p, statistics, y);
      const reference::Array input = in_doubles(x), expected = layer_norm(input, in_doubles(p.weight), in_doubles(p.bias));
      EXPECT_TRUE(near_once_rounded<S>(values(y), expected.values, tolerance::norm.forward));
      std::vector<double> means, inverses;
      for (int64_t n = 0; n < s.rows; ++n) {
        const auto [mean, inverse] = reference::row_statistics(input, n);
        means.push_back(mean);
        inverses.push_back(inverse);
      }
      EXPECT_TRUE(near(values(statistics.mean), means, tolerance::norm.forward));
      EXPECT_TRUE(near(values(statistics.inverse_deviation), inverses, tolerance::norm.forward));
    }
}

TYPED_TEST(NormTest, BackwardAddsIntoParametersAndTheResidual) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const bool bias : {false, true}) {
      SCOPED_TRACE(words(s, bias));
      const Matrix<float> x = random_input(s), dx = random_matrix(s.rows, s.channels, 7);
      const Matrix<S> y = filled<S>(s.rows, s.channels, 0), dy = random_matrix<S>(s.rows, s.channels, 4);
      const Norm<S> p = random_norm<S>(s.channels, bias, 2);
      const Norm<float> dp = random_norm(s.channels, bias, 5);
      const std::vector<float> old_weight = values(dp.weight), old_bias = values(dp.bias), old_dx = values(dx);
      const NormStatistics statistics = empty_statistics(s.rows);
      norm(Exec(), x, p, statistics, y);
      const Matrix<S> dr = filled<S>(s.rows, s.channels, not_a_number);
      norm_backward(Exec(), x, p, statistics, dy, dx, dr, dp);
      EXPECT_TRUE(same_bits(values(dr), kept_as<S>(values(dx))));
      const auto d = reference::layer_norm_backward(in_doubles(x), in_doubles(p.weight), in_doubles(dy));
      EXPECT_TRUE(near(values(dx), sum_of(old_dx, d.x.values), tolerance::norm.backward));
      EXPECT_TRUE(near(values(dp.weight), sum_of(old_weight, d.weight), tolerance::norm.backward));
      EXPECT_TRUE(near(values(dp.bias), sum_of(old_bias, d.bias), tolerance::norm.backward));
    }
}

TYPED_TEST(NormTest, BackwardAgreesWithCentralDifferences) {
  using S = TypeParam;
  const Shape s{5, 7};
  const Matrix<float> x = random_input(s), dx = filled(s.rows, s.channels, 0);
  const Matrix<S> y = filled<S>(s.rows, s.channels, 0), dy = random_matrix<S>(s.rows, s.channels, 4);
  const Norm<S> p = random_norm<S>(s.channels, true, 2);
  const Norm<float> dp{zeros<float>("weight", s.channels), zeros<float>("bias", s.channels)};
  const NormStatistics statistics = empty_statistics(s.rows);
  norm(Exec(), x, p, statistics, y);
  norm_backward(Exec(), x, p, statistics, dy, dx, Matrix<S>(), dp);

  const reference::Array at_x = in_doubles(x), cotangent = in_doubles(dy);
  const reference::Values weight = in_doubles(p.weight), bias = in_doubles(p.bias);
  const auto objective = [&](const reference::Array& input, const reference::Values& w, const reference::Values& b) {
    return reference::dot(cotangent.values, layer_norm(input, w, b).values);
  };
  const auto of_x = [&](const reference::Values& v) { return objective({s.rows, s.channels, v}, weight, bias); };
  const auto of_weight = [&](const reference::Values& v) { return objective(at_x, v, bias); };
  const auto of_bias = [&](const reference::Values& v) { return objective(at_x, weight, v); };
  EXPECT_TRUE(near(values(dx), reference::central_differences(of_x, at_x.values), tolerance::norm.backward));
  EXPECT_TRUE(near(values(dp.weight), reference::central_differences(of_weight, weight), tolerance::norm.backward));
  EXPECT_TRUE(near(values(dp.bias), reference::central_differences(of_bias, bias), tolerance::norm.backward));
}

TYPED_TEST(NormTest, ARowOfEqualValuesBecomesTheBias) {  // no variance, and nothing to divide by but the epsilon
  using S = TypeParam;
  const Matrix<float> x = filled(2, 66, 3.25f);
  const Matrix<S> y = filled<S>(2, 66, not_a_number);
  const Norm<S> p = random_norm<S>(66, true, 1);
  norm(Exec(), x, p, empty_statistics(2), y);
  EXPECT_TRUE(same_bits(values(slice(y, {1, 2})), values(p.bias)));
}

TYPED_TEST(NormTest, OfASingleChannelIsTheBias) {
  using S = TypeParam;
  const Matrix<float> x = random_matrix(3, 1, 1), dx = filled(3, 1, 0);
  const Matrix<S> y = filled<S>(3, 1, not_a_number);
  const Norm<S> p = random_norm<S>(1, true, 2);
  const Norm<float> dp = random_norm(1, false, 4);
  const NormStatistics statistics = empty_statistics(3);
  const std::vector<float> old = values(dp.weight);
  norm(Exec(), x, p, statistics, y);
  norm_backward(Exec(), x, p, statistics, random_matrix<S>(3, 1, 5), dx, Matrix<S>(), dp);
  EXPECT_TRUE(same_bits(values(y), std::vector<S>(3, values(p.bias)[0])));
  EXPECT_TRUE(same_bits(values(dp.weight), old));
  for (const float d : values(dx)) EXPECT_NEAR(d, 0, 1e-4);  // two products that cancel, times 1/sqrt(1e-5)
}

TYPED_TEST(NormTest, ALargeMeanDoesNotSwallowTheVariance) {  // it would as <x^2> - <x>^2: 1e8 has no room for 1 in float32
  using S = TypeParam;
  const int64_t C = 200;
  const Matrix<float> x = matrix(1, C, normals(C, 1, 1, 1e4));
  const Matrix<S> y = filled<S>(1, C, 0);
  const Norm<S> p = random_norm<S>(C, false, 2);
  norm(Exec(), x, p, empty_statistics(1), y);
  // The mean itself is rounded, to 1e4 2^-24 = 6e-4 of the deviation.
  EXPECT_TRUE(near_once_rounded<S>(values(y), layer_norm(in_doubles(x), in_doubles(p.weight), {}).values, 2e-3));
}

}  // namespace
}  // namespace lawa
