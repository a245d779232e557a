// What people read of a run on stderr.
#pragma once
#include <deque>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "core/log.hpp"
#include "train/run_plan.hpp"
#include "train/trainer.hpp"

namespace lawa {

/// Tokens a second over the steps of the last ten seconds, at least the last one: one step alone may be anything.
class RateWindow {
 public:
  void add(double tokens, double seconds);
  double tokens_per_second() const { return tokens_ / seconds_; }

 private:
  struct Part {
    double tokens, seconds;
  };
  std::deque<Part> parts_;
  double tokens_ = 0, seconds_ = 0;
};

/// "plain 3.2142, lawa(k=5,nu=200) 3.1301": the models of some lines of metrics.jsonl of kind "evaluate", each once, as the last of its lines
/// has it; with the step that a line is of, where that isn't `step`. "" for no lines.
std::string losses_text(const std::vector<Json>& lines, int64_t step);

class RunReport {
 public:
  /// They must outlive it.
  RunReport(const TrainConfig& config, Log& log) : config_(config), log_(log) {}

  /// Before anything is read: the model, and how its work is split.
  void made_of(int64_t micro_sequences, int ranks, int64_t parameters, int64_t averages_bytes);
  /// Before the first step. seconds_a_step: judged, or 0.
  void begins(int64_t first_step, const RunOutput& output, int64_t data_tokens, double seconds_a_step);
  void made_step(const StepResult& result, double tokens, double seconds);
  /// The lines of one step's evaluations, as they were made.
  void evaluated(int64_t step, const std::vector<Json>& lines);
  /// The newest losses of a run that has ended at `step`.
  void ends(int64_t step, const std::vector<Json>& lines);

 private:
  const TrainConfig& config_;
  Log& log_;
  RateWindow rate_;
};

}  // namespace lawa
