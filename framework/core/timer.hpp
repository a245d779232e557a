// Wall-clock time.
#pragma once
#include <chrono>

namespace lawa {

class Stopwatch {
 public:
  /// Seconds since construction or the last restart().
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  /// Seconds so far; begins again.
  double restart() {
    const double elapsed = seconds();
    begin_ = Clock::now();
    return elapsed;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace lawa
