// DenormalsAsZero: on an x86 tiny products vanish while it lives, and are there again behind it.
#include "tensor/denormals.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace lawa {
namespace {

/// Half of the smallest normal number, computed where the compiler can't see it.
float half_of_smallest() {
  volatile float smallest = std::numeric_limits<float>::min(), half = 0.5f;
  return smallest * half;
}
/// Twice the largest denormal number.
float twice_a_denormal() {
  volatile float denormal = std::numeric_limits<float>::min() - std::numeric_limits<float>::denorm_min(), two = 2.0f;
  return denormal * two;
}

#if defined(__x86_64__)
TEST(DenormalsAsZero, ResultsAndOperandsAreZeroWhileItLives) {
  const DenormalsAsZero fast;
  EXPECT_EQ(half_of_smallest(), 0.0f);
  EXPECT_EQ(twice_a_denormal(), 0.0f);
  volatile float normal = std::numeric_limits<float>::min();
  EXPECT_EQ(normal * 2.0f, 2 * std::numeric_limits<float>::min());
}
#endif

TEST(DenormalsAsZero, IsOverWithItsEnd) {
  {
    const DenormalsAsZero outer;
    const DenormalsAsZero inner;
  }
  EXPECT_GT(half_of_smallest(), 0.0f);
  EXPECT_GT(twice_a_denormal(), 0.0f);
}

}  // namespace
}  // namespace lawa
