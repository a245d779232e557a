// Queries and keys turned by their positions.
#include "ops/rotary.hpp"

#include "reference/central_differences.hpp"
#include "reference/rotary.hpp"
#include "support/errors.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::HasSubstr;

/// B sequences of T positions, H heads of D channels of which `width` are turned.
struct Shape {
  int64_t B, T, H, D, width;
  QkvOrder order;
  int64_t columns() const { return 3 * H * D; }
};
constexpr Shape shapes[] = {{1, 1, 1, 2, 2, QkvOrder::heads},  {2, 7, 3, 6, 4, QkvOrder::heads},   {2, 7, 3, 6, 6, QkvOrder::parts},
                            {3, 5, 2, 9, 2, QkvOrder::parts},  {1, 40, 2, 80, 40, QkvOrder::heads}, {2, 4, 1, 5, 0, QkvOrder::heads}};
constexpr double base = 100;
constexpr int64_t unused_positions = 3;

std::string words(const Shape& s) { return concat("B ", s.B, ", T ", s.T, ", H ", s.H, ", D ", s.D, ", ", s.width, " turned"); }
reference::AttentionShape reference_shape(const Shape& s) { return {s.H, s.T, 1, s.order == QkvOrder::heads}; }

template <class S>
void turn(const Shape& s, Turn way, const Matrix<S>& qkv) {
  Attention<S> attention;
  attention.heads = s.H;
  attention.sequence_length = s.T;
  attention.order = s.order;
  rotate(Exec(), make_rotary(s.T + unused_positions, s.width, base), way, attention, qkv);
}

template <class S>
struct RotaryTest : testing::Test {};
TYPED_TEST_SUITE(RotaryTest, NumberTypes, NumberName);

TYPED_TEST(RotaryTest, TurnsAsComplexNumbersAreMultipliedBothWays) {
  using S = TypeParam;
  for (const Shape& s : shapes)
    for (const auto& [way, sign] : {std::pair{Turn::forward, 1.0}, {Turn::backward, -1.0}}) {
      SCOPED_TRACE(words(s));
      const Matrix<S> qkv = random_matrix<S>(s.B * s.T, s.columns(), 1);
      const reference::Array expected = reference::rotated(reference_shape(s), {s.width, base, sign}, in_doubles(qkv));
      turn(s, way, qkv);
      EXPECT_TRUE(near_once_rounded<S>(values(qkv), expected.values, 3e-7));
    }
}

TEST(Rotary, LeavesValuesAndTheRestOfEachHeadAlone) {
  const Shape s{2, 7, 3, 6, 4, QkvOrder::heads};
  const Matrix<float> before = random_matrix(s.B * s.T, s.columns(), 1), after = random_matrix(s.B * s.T, s.columns(), 1);
  turn(s, Turn::forward, after);
  const std::vector<float> old = values(before), now = values(after);
  for (int64_t n = 0; n < s.B * s.T; ++n)
    for (int64_t c = 0; c < s.columns(); ++c) {
      const bool turned = c % (3 * s.D) < 2 * s.D && c % s.D < s.width && n % s.T > 0;  // position 0 is turned by nothing
      const auto i = static_cast<size_t>(n * s.columns() + c);
      EXPECT_EQ(old[i] != now[i], turned) << n << ", " << c;
    }
}

TEST(Rotary, BackwardAgreesWithCentralDifferences) {
  const Shape s{2, 3, 2, 5, 4, QkvOrder::heads};
  const Matrix<float> qkv = random_matrix(s.B * s.T, s.columns(), 1), gradient = random_matrix(s.B * s.T, s.columns(), 2);
  const reference::Array x = in_doubles(qkv), cotangent = in_doubles(gradient);
  const auto objective = [&](const reference::Values& v) {
    return reference::dot(cotangent.values, reference::rotated(reference_shape(s), {s.width, base}, {x.rows, x.columns, v}).values);
  };
  turn(s, Turn::backward, gradient);
  EXPECT_TRUE(near(values(gradient), reference::central_differences(objective, x.values), 1e-6));
}

TEST(Rotary, ProductsDependOnTheDistanceAlone) {  // the same query and key at every position
  const Shape s{1, 12, 1, 8, 8, QkvOrder::heads};
  std::vector<float> rows_of_one;
  const std::vector<float> one = normals(s.columns(), 3);
  for (int64_t t = 0; t < s.T; ++t) rows_of_one.insert(rows_of_one.end(), one.begin(), one.end());
  const Matrix<float> qkv = matrix(s.T, s.columns(), rows_of_one);
  turn(s, Turn::forward, qkv);
  const reference::Array x = in_doubles(qkv);
  const auto product = [&](int64_t t, int64_t u) {
    double sum = 0;
    for (int64_t c = 0; c < s.D; ++c) sum += x(t, c) * x(u, s.D + c);
    return sum;
  };
  for (int64_t t = 3; t < s.T; ++t) EXPECT_NEAR(product(t, t - 3), product(3, 0), 1e-5);
  EXPECT_GT(std::abs(product(3, 0) - product(4, 0)), 0.01);
}

TEST(Rotary, AnglesAreExactFarFromTheStart) {  // in float32 an angle of 100,000 would be off by 0.004
  const Rotary rotary = make_rotary(100'001, 2, 10'000);
  EXPECT_FLOAT_EQ(values(rotary.cosine).back(), static_cast<float>(std::cos(100'000.0)));
  EXPECT_FLOAT_EQ(values(rotary.sine).back(), static_cast<float>(std::sin(100'000.0)));
}

TEST(Rotary, RefusesWhatItCannotTurn) {
  EXPECT_THAT(error_of([] { make_rotary(4, 3, base); }), HasSubstr("3 channels are odd"));
  const Matrix<float> qkv = random_matrix(2 * 9, 3 * 4, 1);
  Attention<float> attention;
  attention.sequence_length = 9;
  EXPECT_THAT(error_of([&] { rotate(Exec(), make_rotary(8, 4, base), Turn::forward, attention, qkv); }), HasSubstr("turns of 8 positions"));
  EXPECT_THAT(error_of([&] { rotate(Exec(), make_rotary(9, 6, base), Turn::forward, attention, qkv); }), HasSubstr("6 channels, for 9 and 4"));
}

}  // namespace
}  // namespace lawa
