#include "tensor/convert.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using namespace test;

constexpr int64_t lengths[] = {0, 1, 4095, 4096, 4097, 10000};  // about one work item, and several

/// Numbers of all sizes, with those that are no numbers or become none.
std::vector<float> mixed(int64_t n) {
  std::vector<float> x = normals(n, 1);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(x[i], static_cast<int>(i * 37 % 290) - 150);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::array special{not_a_number, infinity, -infinity, std::numeric_limits<float>::max(), -0.0f};
  for (size_t i = 11; i < x.size(); i += 101) x[i] = special[i % special.size()];
  return x;
}

/// Converts into the middle of a longer vector, of which nothing else may change.
template <class From, class To>
void expect_conversion(const std::vector<From>& from, const std::vector<To>& expected) {
  SCOPED_TRACE(from.size());
  const auto n = static_cast<int64_t>(from.size());
  const Vector<To> room = random_vector<To>(n + 2, 2);
  std::vector<To> all = values(room);
  std::ranges::copy(expected, all.begin() + 1);
  const Vector<From> source = vector(from);
  convert(Exec(), source, slice(room, {1, n + 1}));
  EXPECT_TRUE(same_bits(values(room), all));
  EXPECT_TRUE(same_bits(values(source), from));
}

TEST(Convert, RoundsEachElementAsBf16Does) {
  for (const int64_t n : lengths) expect_conversion(mixed(n), kept_as<bf16>(mixed(n)));
}

TEST(Convert, FromBf16IsExact) {
  for (const int64_t n : lengths) {
    const std::vector<bf16> from = kept_as<bf16>(mixed(n));
    expect_conversion(from, std::vector<float>(from.begin(), from.end()));
  }
}

TEST(Convert, IntoTheSameTypeCopies) {
  for (const int64_t n : lengths) {
    expect_conversion(mixed(n), mixed(n));
    expect_conversion(kept_as<bf16>(mixed(n)), kept_as<bf16>(mixed(n)));
  }
}

TEST(Convert, OfTheSameMemoryDoesNothing) {
  bf16 signalling;  // a NaN that any conversion would make quiet
  signalling.bits = 0x7f81;
  const std::vector<bf16> before(5000, signalling);
  const Vector<bf16> x = vector(before);
  convert(Exec(), x, x);
  EXPECT_TRUE(same_bits(values(x), before));
}

TEST(Convert, OfMatricesGoesElementByElement) {
  const Matrix<float> from = random_matrix(67, 65, 1);
  const Matrix<bf16> to = filled<bf16>(67, 65, not_a_number);
  convert(Exec(), from, to);
  EXPECT_TRUE(same_bits(values(to), kept_as<bf16>(values(from))));
}

TEST(Convert, RefusesDifferentLengths) {
  const Vector<float> from = zeros<float>("from", 4);
  const Vector<bf16> to = zeros<bf16>("to", 5);
  EXPECT_THAT(error_of([&] { convert(Exec(), from, to); }), testing::HasSubstr("conversion of 4 elements into 5"));
}

}  // namespace
}  // namespace lawa
