#include "tensor/phases.hpp"

#include <gtest/gtest.h>

#include "core/timer.hpp"
#include "support/errors.hpp"
#include "tensor/tensor.hpp"

namespace lawa {
namespace {

void spend(double seconds) {
  for (const Stopwatch clock; clock.seconds() < seconds;) continue;
}

double seconds_of(const std::vector<PhaseTime>& times, const std::string& outer, const std::string& inner) {
  for (const PhaseTime& time : times)
    if (time.outer == outer && time.inner == inner) return time.seconds;
  return 0;
}

constexpr const char* needs_a_cpu = "nothing is measured where kernels run beside the CPU";

TEST(PhaseClock, GivesEachSecondToTheInnermostPhase) {
  if (!kernels_run_at_once) GTEST_SKIP() << needs_a_cpu;
  const Stopwatch all;
  const PhaseClock clock;
  in_phase("outer", [] {
    spend(0.02);
    in_phase("middle", [] { in_phase("inner", [] { spend(0.04); }); });
    in_phase("inner", [] { spend(0.01); });
  });
  spend(0.03);
  const auto times = clock.times();
  EXPECT_GE(seconds_of(times, "outer", ""), 0.02);
  EXPECT_GE(seconds_of(times, "outer", "inner"), 0.05);
  EXPECT_LT(seconds_of(times, "outer", "middle"), 0.02);
  EXPECT_GE(seconds_of(times, "", ""), 0.03);
  double total = 0;
  for (const PhaseTime& time : times) total += time.seconds;
  EXPECT_LE(total, all.seconds());
}

TEST(PhaseClock, EndsAndBeginsAnew) {
  if (!kernels_run_at_once) GTEST_SKIP() << needs_a_cpu;
  { const PhaseClock first; }
  in_phase("unheard", [] {});
  const PhaseClock second;
  EXPECT_EQ(seconds_of(second.times(), "unheard", ""), 0);
  EXPECT_NE(test::error_of([] { const PhaseClock third; }), "no error");
}

TEST(Phase, GivesBackWhatItsWorkGave) { EXPECT_EQ(in_phase("work", [] { return 42; }), 42); }

}  // namespace
}  // namespace lawa
