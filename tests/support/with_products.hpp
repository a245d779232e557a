// Suites of operations that multiply matrices.
#pragma once
#include <gtest/gtest.h>

#include <type_traits>

#include "ops/gemm.hpp"

namespace lawa::test {

/// Skipped for numbers that this build or processor can't multiply.
template <class S>
class WithProducts : public testing::Test {
 protected:
  void SetUp() override {
    if (std::is_same_v<S, bf16> && !multiplies_in(Precision::bf16)) GTEST_SKIP() << "no products of bf16 on this processor or build";
  }
};

}  // namespace lawa::test
