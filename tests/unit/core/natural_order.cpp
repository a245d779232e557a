// The order of names with numbers in them.
#include "core/natural_order.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lawa {
namespace {

TEST(NaturalOrder, GoesByTheNumbersInNames) {
  const std::vector<std::string> ordered{"", "a", "a01", "a1", "a1b", "a2", "a10", "a10b2", "a10b10", "a99999999999999999999", "a100000000000000000000", "b", "shard_9.bin",
                                         "shard_10.bin", "\xc3\xa9"};
  for (size_t i = 0; i < ordered.size(); ++i)
    for (size_t j = 0; j < ordered.size(); ++j) EXPECT_EQ(natural_less(ordered[i], ordered[j]), i < j) << ordered[i] << " " << ordered[j];
}

}  // namespace
}  // namespace lawa
