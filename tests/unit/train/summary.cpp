#include "train/summary.hpp"

#include <gmock/gmock.h>

namespace lawa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<PhaseTime> times{{"", "", 1}, {"start", "", 1}, {"training", "", 2}, {"training", "gemm", 5}, {"checkpoints", "", 1}};

TEST(Summary, SaysTheSpeedAndWhereTheTimeWent) {
  const Speed speed{.tokens = 700, .seconds = 7, .flops_per_token = 2e9, .gemm_flops_per_second = 4e11};
  EXPECT_THAT(summary(speed, times),
              ElementsAre("training: 100 tokens/s, 200.0 GFLOP/s of the model, 50 % of the 400 GFLOP/s that matrix products reach here",
                          "time: 0:10: training 70.0 %, other 10.0 %, start 10.0 %, checkpoints 10.0 %",
                          "training steps: gemm 71.4 %, other kernels 28.6 %"));
}

TEST(Summary, SaysNothingThatWasNotMeasured) {
  EXPECT_TRUE(summary({}, {}).empty());
  const auto lines = summary({.tokens = 700, .seconds = 7, .flops_per_token = 2e9, .gemm_flops_per_second = 0}, {});
  EXPECT_THAT(lines, ElementsAre("training: 100 tokens/s, 200.0 GFLOP/s of the model"));
}

TEST(Summary, InMetricsTheShareOfMatrixProductsStandsWhereItWasMeasured) {
  EXPECT_EQ(speed_fields({.tokens = 700, .seconds = 7, .flops_per_token = 2e9, .gemm_flops_per_second = 4e11}).dump(),
            R"({"tokens_this_start":700.0,"seconds":7.0,"tokens_per_second":100.0,"gemm_flops_per_second":400000000000.0,"gemm_share":0.5})");
  EXPECT_EQ(speed_fields({.tokens = 700, .seconds = 7, .flops_per_token = 2e9, .gemm_flops_per_second = 0}).dump(),
            R"({"tokens_this_start":700.0,"seconds":7.0,"tokens_per_second":100.0})");
  EXPECT_EQ(speed_fields({}).dump(), R"({"tokens_this_start":0.0,"seconds":0.0,"tokens_per_second":null})");
}

TEST(Summary, InMetricsEachSecondStandsOnce) {
  const Json seconds = phase_seconds(times);
  EXPECT_EQ(seconds, Json({{"other", 1.0}, {"start/other", 1.0}, {"training/other", 2.0}, {"training/gemm", 5.0}, {"checkpoints/other", 1.0}}));
}

}  // namespace
}  // namespace lawa
