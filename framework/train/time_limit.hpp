// When a run has to stop so that its last checkpoint is whole before its time is over.
#pragma once
#include <algorithm>
#include <deque>

#include "core/stop_request.hpp"

namespace lawa {

/// Asks this process to stop (core/stop_request.hpp) when one more step, as long as the longest of the last few, and a save, as long as
/// the last one, would not fit into the program's wall-clock time any more.
class TimeLimit {
 public:
  /// 0 wall seconds: no limit. save_seconds: a guess that holds until a save has been timed.
  TimeLimit(double wall_seconds, double save_seconds) : wall_(wall_seconds), save_(save_seconds) { set(); }

  void made_step(double seconds) {
    steps_.push_back(seconds);
    if (steps_.size() > few) steps_.pop_front();
    set();
  }
  /// With state, as the last save will be.
  void saved(double seconds) {
    save_ = seconds;
    set();
  }
  /// When to stop, of the program's seconds.
  double stop_at() const { return wall_ - save_ - (steps_.empty() ? 0 : *std::ranges::max_element(steps_)); }

 private:
  static constexpr size_t few = 8;
  void set() const {
    if (wall_ > 0) request_stop_at(stop_at());
  }

  double wall_, save_;
  std::deque<double> steps_;
};

}  // namespace lawa
