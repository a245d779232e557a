// What is legal and hardly meant is said.
#include "train/warnings.hpp"

#include <gmock/gmock.h>

namespace lawa {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TrainConfig config(int64_t steps, int64_t warmup_steps) {
  TrainConfig c;
  c.schedule.steps = steps;
  c.schedule.warmup_steps = warmup_steps;
  c.batch.global_sequences = 4;
  c.model.context = 25;
  return c;
}

TEST(Warnings, NameAWarmUpThatTheRunDoesNotLeave) {
  for (const auto& [steps, warmup] : {std::pair{100, 99}, {100, 0}, {1, 0}}) EXPECT_THAT(warnings(config(steps, warmup), {}, {}), IsEmpty()) << steps;
  ConfigSource source;
  source.add_override("schedule.steps=100");
  EXPECT_THAT(warnings(config(100, 100), source, {}),
              ElementsAre("schedule.warmup_steps: the run of 100 steps (command line) ends inside its warm-up of 100: the learning rate gets no further than "
                          "99 % of schedule.peak_lr; schedule.warmup_steps=5 is 5 % of the run"));
  EXPECT_THAT(warnings(config(60, 2000), {}, {}),
              ElementsAre("schedule.warmup_steps: the run of 60 steps ends inside its warm-up of 2000: the learning rate gets no further than 2.95 % of "
                          "schedule.peak_lr; schedule.warmup_steps=3 is 5 % of the run"));
}

TEST(Warnings, NameABatchBeyondTheData) {
  EXPECT_THAT(warnings(config(9, 0), {}, 100), IsEmpty());
  EXPECT_THAT(warnings(config(9, 0), {}, std::nullopt), IsEmpty());
  EXPECT_THAT(warnings(config(9, 0), {}, 40),
              ElementsAre("batch.global_sequences: a step reads 100 tokens (4 sequences of 25), and data.train has 40: each step reads all of it 2.5 times; "
                          "fewer sequences would make more steps of it"));
}

}  // namespace
}  // namespace lawa
