// What people read of a run.
#include "train/run_report.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace lawa {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(RateWindow, IsOverTheStepsOfTheLastTenSeconds) {
  RateWindow window;
  window.add(100, 50);  // a first step, say
  EXPECT_DOUBLE_EQ(window.tokens_per_second(), 2) << "the last step counts, however long it took";
  for (int step = 0; step < 5; ++step) window.add(100, 1);
  EXPECT_DOUBLE_EQ(window.tokens_per_second(), 600.0 / 55) << "the others aren't ten seconds yet";
  for (int step = 0; step < 5; ++step) window.add(100, 1);
  EXPECT_DOUBLE_EQ(window.tokens_per_second(), 100);
  window.add(100, 3);
  EXPECT_DOUBLE_EQ(window.tokens_per_second(), 800.0 / 10);
}

Json line(const std::string& model, int64_t step, double loss) {
  return {{"kind", "evaluate"}, {"model", model}, {"step", step}, {"loss", std::isfinite(loss) ? Json(loss) : Json()}};
}

TEST(LossesText, HasTheNewestOfEachModel) {
  EXPECT_EQ(losses_text({}, 20), "");
  EXPECT_EQ(losses_text({line("plain", 10, 4), line("lawa(k=5,nu=9)", 9, 3.5), line("plain", 20, 3.25), line("lawa(k=5,nu=9)", 18, 3)}, 20),
            "plain 3.2500, lawa(k=5,nu=9) 3.0000 (step 18)");
  EXPECT_EQ(losses_text({line("plain", 20, NAN)}, 20), "plain not finite");
}

TEST(RunReport, SaysWhatIsToCome) {
  TrainConfig config;
  config.run.directory = "run";
  config.schedule.steps = 30;
  config.batch.global_sequences = 4;
  config.model.context = 25;
  RunOutput output;
  output.checkpoints = 6, output.states = 2, output.averages = 3, output.evaluations = 5;
  output.most_weights = 4, output.most_states = 2;
  output.weights_bytes = 1000, output.state_bytes = 2000, output.disk_bytes = 11000;
  testing::internal::CaptureStderr();
  Log log(true);
  RunReport(config, log).begins(10, output, 1000, 30);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "20 steps to come, of 100 tokens: 2 times the training tokens; 5 evaluations\n"
            "run: 6 checkpoints of 1 kB (4 at a time), 2 states of 2 kB, 3 averages: 11 kB at most\n"
            "about 30 s a step, 10:00 of training in all, judged by the rate of matrix products here; after the first step it is measured\n");
}

}  // namespace
}  // namespace lawa
