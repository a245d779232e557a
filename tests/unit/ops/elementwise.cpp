// gelu in both forms, and the sum.
#include "ops/ops.hpp"

#include "reference/central_differences.hpp"
#include "reference/gelu.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using namespace test;

/// One form of gelu with its reference and the reference's derivative.
struct Form {
  Gelu gelu;
  const char* name;
  double (*value)(double);
  double (*slope)(double);
};
constexpr Form forms[] = {{Gelu::tanh, "tanh", reference::gelu_tanh, reference::gelu_tanh_slope},
                          {Gelu::erf, "erf", reference::gelu_erf, reference::gelu_erf_slope}};

template <class S>
struct GeluTest : testing::Test {};
TYPED_TEST_SUITE(GeluTest, NumberTypes, NumberName);

/// (n, 65) values that run evenly from -limit to limit: whole vectors of a row, and a remainder.
template <class S>
Matrix<S> sweep(int64_t n, float limit) {
  std::vector<float> x;
  const int64_t size = n * 65;
  for (int64_t i = 0; i < size; ++i)
    x.push_back(limit * (2 * static_cast<float>(i) - static_cast<float>(size - 1)) / static_cast<float>(size));
  return matrix(n, 65, kept_as<S>(x));
}
template <class S>
std::vector<double> each(double (*f)(double), const Matrix<S>& x) {
  std::vector<double> y = in_doubles(x).values;
  for (double& value : y) value = f(value);
  return y;
}

TYPED_TEST(GeluTest, AgreesWithReferenceAndLeavesWhatItRead) {
  using S = TypeParam;
  for (const Form& form : forms)
    for (const float limit : {0.01f, 1.f, 6.f, 30.f}) {  // the tolerance is relative to the largest value of a sweep
      SCOPED_TRACE(concat(form.name, " up to ", limit));
      const Matrix<S> x = sweep<S>(9, limit), y = filled<S>(9, 65, not_a_number);
      gelu(Exec(), form.gelu, Vector<S>(), x, y);
      EXPECT_TRUE(near_once_rounded<S>(values(y), each(form.value, x), tolerance::gelu.forward));
      EXPECT_TRUE(same_bits(values(x), values(sweep<S>(9, limit))));
    }
}

TYPED_TEST(GeluTest, AddsTheBiasIntoItsInputAndIsThatInputsGelu) {  // which the backward reads: in bf16, the rounded sum
  using S = TypeParam;
  for (const Form& form : forms)
    for (const float limit : {0.01f, 1.f, 6.f, 30.f}) {
      SCOPED_TRACE(concat(form.name, " up to ", limit));
      const Matrix<S> x = sweep<S>(9, limit), y = filled<S>(9, 65, not_a_number), unbiased = filled<S>(9, 65, not_a_number);
      const std::vector<S> bias = kept_as<S>(normals(65, 3, static_cast<double>(limit)));
      std::vector<S> sums = values(x);
      for (size_t i = 0; i < sums.size(); ++i) sums[i] = sums[i] + bias[i % 65];
      gelu(Exec(), form.gelu, vector(bias), x, y);
      EXPECT_TRUE(same_bits(values(x), sums));
      EXPECT_TRUE(near_once_rounded<S>(values(y), each(form.value, x), tolerance::gelu.forward));
      gelu(Exec(), form.gelu, Vector<S>(), x, unbiased);
      EXPECT_TRUE(same_bits(values(y), values(unbiased)));
    }
}

TYPED_TEST(GeluTest, BackwardOverwritesWithTheSlopeTimesTheGradient) {
  using S = TypeParam;
  for (const Form& form : forms)
    for (const float limit : {0.01f, 1.f, 6.f, 30.f}) {
      SCOPED_TRACE(concat(form.name, " up to ", limit));
      const Matrix<S> x = sweep<S>(9, limit), dy = random_matrix<S>(9, 65, 1), dx = filled<S>(9, 65, not_a_number);
      gelu_backward(Exec(), form.gelu, x, dy, dx);
      std::vector<double> expected = each(form.slope, x);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] *= in_doubles(dy).values[i];
      EXPECT_TRUE(near_once_rounded<S>(values(dx), expected, tolerance::gelu.backward));
      gelu_backward(Exec(), form.gelu, x, dy, dy);  // in place
      EXPECT_TRUE(same_bits(values(dy), values(dx)));
    }
}

TYPED_TEST(GeluTest, BackwardAgreesWithCentralDifferences) {
  using S = TypeParam;
  for (const Form& form : forms) {
    SCOPED_TRACE(form.name);
    const Matrix<S> x = sweep<S>(2, 5), dx = filled<S>(2, 65, 0);
    gelu_backward(Exec(), form.gelu, x, filled<S>(2, 65, 1), dx);
    const auto sum = [&](const reference::Values& v) {
      double total = 0;
      for (const double value : v) total += form.value(value);
      return total;
    };
    const reference::Values slopes = reference::central_differences(sum, in_doubles(x).values);
    EXPECT_TRUE(near_once_rounded<S>(values(dx), slopes, tolerance::gelu.backward));
  }
}

TYPED_TEST(GeluTest, FarOutIsTheIdentityOrNothing) {
  using S = TypeParam;
  for (const Form& form : forms) {
    SCOPED_TRACE(form.name);
    const Matrix<S> x = matrix(1, 4, kept_as<S>({30, -30, 1e6f, -1e6f})), y = filled<S>(1, 4, 0), dx = filled<S>(1, 4, 0);
    gelu(Exec(), form.gelu, Vector<S>(), x, y);
    gelu_backward(Exec(), form.gelu, x, filled<S>(1, 4, 1), dx);
    const reference::Values value = in_doubles(y).values, slope = in_doubles(dx).values;
    for (const size_t i : {0, 2}) {
      EXPECT_EQ(value[i], in_doubles(x).values[i]);
      EXPECT_EQ(slope[i], 1);
      EXPECT_LT(std::abs(value[i + 1]), 1e-30);
      EXPECT_LT(std::abs(slope[i + 1]), 1e-20);
    }
  }
}

}  // namespace
}  // namespace lawa
