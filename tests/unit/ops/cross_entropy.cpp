// loss = sum over rows of -log softmax(z)[target]
#include "ops/ops.hpp"

#include <array>
#include <numeric>

#include "reference/central_differences.hpp"
#include "reference/cross_entropy.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using namespace test;

struct Shape {
  int64_t rows, vocabulary;
};
constexpr Shape shapes[] = {{1, 1}, {5, 2}, {3, 37}, {7, 64}, {4, 65}, {2, 1003}, {3, 8200}};  // from 8192 on a device has a team for a row

/// The sum of the rows' losses.
double loss_of(const Matrix<float>& z, const Tokens& targets) {
  const Vector<double> losses = vector(std::vector<double>(static_cast<size_t>(rows(z)), not_a_number));
  cross_entropy(Exec(), z, targets, losses);
  const std::vector<double> all = values(losses);
  return std::accumulate(all.begin(), all.end(), 0.0);
}
template <class S>
double backward(const Matrix<float>& z, const Tokens& targets, double scale, const Matrix<S>& dz) {
  const Vector<double> losses = vector(std::vector<double>(static_cast<size_t>(rows(z)), not_a_number));
  cross_entropy_backward(Exec(), z, targets, scale, losses, dz);
  const std::vector<double> all = values(losses);
  return std::accumulate(all.begin(), all.end(), 0.0);
}

TEST(CrossEntropy, LossAgreesWithReferenceAndLeavesTheLogits) {
  for (const auto& [n, V] : shapes) {
    SCOPED_TRACE(concat(n, " rows of ", V));
    const Matrix<float> z = random_matrix(n, V, 1);
    const std::vector<int32_t> targets = token_ids(n, V, 2);
    const std::array loss{loss_of(z, vector(targets))};
    EXPECT_TRUE(near(loss, std::array{reference::cross_entropy(in_doubles(z), targets)}, tolerance::cross_entropy.forward));
    EXPECT_TRUE(same_bits(values(z), normals(n * V, 1)));
  }
}

/// Suites of the backward, whose gradient is an S.
template <class S>
struct CrossEntropyBackward : testing::Test {};
TYPED_TEST_SUITE(CrossEntropyBackward, NumberTypes, NumberName);

TYPED_TEST(CrossEntropyBackward, OverwritesWithTheGradientAndReturnsTheLoss) {
  using S = TypeParam;
  for (const auto& [n, V] : shapes) {
    SCOPED_TRACE(concat(n, " rows of ", V));
    const Matrix<float> z = random_matrix(n, V, 1);
    const Matrix<S> dz = filled<S>(n, V, not_a_number);
    const reference::Array logits = in_doubles(z);
    const std::vector<int32_t> targets = token_ids(n, V, 2);
    const double scale = 0.037;
    const std::array loss{backward(z, vector(targets), scale, dz)};
    EXPECT_TRUE(near(loss, std::array{reference::cross_entropy(logits, targets)}, tolerance::cross_entropy.forward));
    const reference::Array expected = reference::cross_entropy_backward(logits, targets, scale);
    EXPECT_TRUE(near_once_rounded<S>(values(dz), expected.values, tolerance::cross_entropy.backward));
  }
}

TEST(CrossEntropy, TheGradientMayReplaceTheLogits) {
  for (const auto& [n, V] : shapes) {
    SCOPED_TRACE(concat(n, " rows of ", V));
    const Matrix<float> z = random_matrix(n, V, 1), in_place = random_matrix(n, V, 1), dz = filled(n, V, not_a_number);
    const Tokens targets = vector(token_ids(n, V, 2));
    EXPECT_EQ(backward(in_place, targets, 0.037, in_place), backward(z, targets, 0.037, dz));
    EXPECT_TRUE(same_bits(values(in_place), values(dz)));
  }
}

TYPED_TEST(CrossEntropyBackward, AgreesWithCentralDifferences) {
  using S = TypeParam;
  const Matrix<float> z = random_matrix(3, 37, 1);
  const Matrix<S> dz = filled<S>(3, 37, not_a_number);
  const reference::Values logits = in_doubles(z).values;
  const std::vector<int32_t> targets = token_ids(3, 37, 2);
  const double scale = 0.037;
  backward(z, vector(targets), scale, dz);
  const auto loss = [&](const reference::Values& v) { return scale * reference::cross_entropy({3, 37, v}, targets); };
  EXPECT_TRUE(near_once_rounded<S>(values(dz), reference::central_differences(loss, logits), tolerance::cross_entropy.backward));
}

// Rows of huge logits, whose exponentials all overflow or vanish, with the target at the largest (loss about 0) and at the
// smallest (loss about the distance between the two).
TYPED_TEST(CrossEntropyBackward, LargeLogitsNeitherOverflowNorVanish) {
  for (const float size : {100.f, 1e4f, 1e30f}) {
    SCOPED_TRACE(size);
    const std::vector<float> row{-size, size / 2, size, 0};
    for (const int32_t target : {2, 0}) {
      const Matrix<float> z = matrix(1, 4, row);
      const Matrix<TypeParam> dz = filled<TypeParam>(1, 4, not_a_number);
      const reference::Array logits = in_doubles(z);
      const double expected = target == 2 ? 0 : 2.0 * static_cast<double>(size);
      EXPECT_NEAR(loss_of(z, vector<int32_t>({target})), expected, 1e-7 * expected);
      EXPECT_NEAR(backward(z, vector<int32_t>({target}), 1, dz), expected, 1e-7 * expected);
      const reference::Array gradient = reference::cross_entropy_backward(logits, {target}, 1);
      for (size_t v = 0; v < row.size(); ++v) EXPECT_NEAR(in_doubles(dz).values[v], gradient.values[v], 1e-7) << v;  // 0, 1 and -1
    }
  }
}

TYPED_TEST(CrossEntropyBackward, OneNaNAmongTheLogitsMakesTheLossNaN) {  // a run that has diverged must show it
  const Matrix<TypeParam> dz = filled<TypeParam>(1, 67, 0);
  for (const size_t place : {0, 1, 40, 66}) {
    std::vector<float> row = normals(67, 1);
    row[place] = not_a_number;
    const Matrix<float> z = matrix(1, 67, row);
    EXPECT_TRUE(std::isnan(loss_of(z, vector<int32_t>({5})))) << place;
    EXPECT_TRUE(std::isnan(backward(z, vector<int32_t>({5}), 1, dz))) << place;
  }
}

TYPED_TEST(CrossEntropyBackward, AConstantAddedToARowChangesNothing) {
  const std::vector<float> row{0.5f, -1, 2, 0.25f};
  std::vector<float> shifted = row;
  for (float& value : shifted) value += 1024;  // exact
  const Matrix<float> z = matrix(1, 4, row), high = matrix(1, 4, shifted);
  const Matrix<TypeParam> dz = filled<TypeParam>(1, 4, not_a_number), d_high = filled<TypeParam>(1, 4, not_a_number);
  const Tokens target = vector<int32_t>({1});
  EXPECT_NEAR(backward(z, target, 1, dz), backward(high, target, 1, d_high), 1e-12);
  EXPECT_TRUE(same_bits(values(dz), values(d_high)));
}

}  // namespace
}  // namespace lawa
