// Learning rates: the update that makes step s uses the rate of it = s - 1.
#include "optim/schedule.hpp"

#include <gtest/gtest.h>

#include "support/refuses.hpp"

namespace lawa {
namespace {

using namespace test;

ScheduleConfig schedule(const std::string& kind) {
  return {.kind = kind, .steps = 100, .warmup_steps = 10, .decay_steps = 0, .peak_lr = 2, .final_lr = 0.5};
}

TEST(Schedule, WarmsUpLinearlyFromZero) {
  for (const std::string kind : {"cosine", "constant", "wsd"}) {
    const ScheduleConfig c = schedule(kind);
    EXPECT_EQ(learning_rate(c, 1), 0) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(c, 2), 0.2) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(c, 10), 1.8) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(c, 11), 2) << kind;
  }
}

TEST(Schedule, WithoutAWarmUpBeginsAtThePeak) {
  for (const std::string kind : {"cosine", "constant", "wsd"}) {
    ScheduleConfig c = schedule(kind);
    c.warmup_steps = 0;
    EXPECT_DOUBLE_EQ(learning_rate(c, 1), 2) << kind;
  }
}

TEST(Schedule, ConstantStaysAtThePeak) {
  for (const int64_t step : {11, 50, 100}) EXPECT_EQ(learning_rate(schedule("constant"), step), 2);
}

TEST(Schedule, CosineFallsFromThePeakToTheFinalRate) {
  const ScheduleConfig c = schedule("cosine");
  EXPECT_DOUBLE_EQ(learning_rate(c, 41), 0.5 + 1.5 * 0.75);  // a third of the way from it = 10 to 100: (1 + cos 60°)/2 = 0.75
  EXPECT_DOUBLE_EQ(learning_rate(c, 56), 0.5 + 1.5 * 0.5);   // half of it
  EXPECT_GT(learning_rate(c, 100), 0.5);                     // it = 99: not quite there
  EXPECT_LT(learning_rate(c, 100), 0.501);
  EXPECT_EQ(learning_rate(c, 101), 0.5);
}

TEST(Schedule, CosineStaysAtTheFinalRateBehindDecaySteps) {
  ScheduleConfig c = schedule("cosine");
  c.decay_steps = 50;
  EXPECT_DOUBLE_EQ(learning_rate(c, 31), 1.25);  // half way between it = 10 and it = 50
  for (const int64_t step : {51, 52, 100}) EXPECT_EQ(learning_rate(c, step), 0.5);
}

TEST(Schedule, WsdDecaysLinearlyOverItsLastSteps) {
  ScheduleConfig c = schedule("wsd");
  c.decay_steps = 20;
  EXPECT_EQ(learning_rate(c, 80), 2);
  EXPECT_DOUBLE_EQ(learning_rate(c, 81), 2);                     // 20 steps are left
  EXPECT_DOUBLE_EQ(learning_rate(c, 82), 0.5 + 1.5 * 19 / 20);
  EXPECT_DOUBLE_EQ(learning_rate(c, 91), 1.25);
  EXPECT_DOUBLE_EQ(learning_rate(c, 100), 0.5 + 1.5 / 20);       // one is left
}

TEST(Schedule, WsdWithoutADecayIsConstant) { EXPECT_EQ(learning_rate(schedule("wsd"), 100), 2); }

TEST(Schedule, RefusesPartsThatDoNotFitAndNamesTheirPlace) {
  ConfigSource source;
  source.add_toml("[schedule]\ndecay_steps = 91\n", "run.toml");
  ScheduleConfig c = schedule("wsd");
  c.decay_steps = 91;
  EXPECT_EQ(error_of([&] { check(c, source); }),
            "schedule.decay_steps (run.toml:2): warm-up (10) and decay (91) are longer than the run (100)");
  c.decay_steps = 90;
  EXPECT_NO_THROW(check(c, source));
  c.kind = "cosine";
  c.decay_steps = 10;
  EXPECT_EQ(error_of([&] { check(c, source); }), "schedule.decay_steps (run.toml:2): 10 must lie after the warm-up's 10 steps");
  c.decay_steps = 11;
  EXPECT_NO_THROW(check(c, source));
}

TEST(Schedule, NamesTheKeyOfAWrongValue) {
  for (const std::string word : {"kind=linear", "steps=0", "warmup_steps=-1", "decay_steps=-1", "peak_lr=-0.1", "final_lr=-1"})
    EXPECT_TRUE(refuses<ScheduleConfig>(word));
}

}  // namespace
}  // namespace lawa
