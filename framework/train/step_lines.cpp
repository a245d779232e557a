#include "train/step_lines.hpp"

#include "train/evaluations.hpp"

namespace lawa {
namespace {

/// What was done about a suspect step.
void add_suspicion(Json& line, const StepResult& step) {
  if (step.nonfinite) line.update(step.nonfinite->json());
  if (step.rechecked) line["recheck"] = "same";
}

}  // namespace

Json step_line(const StepResult& step, int64_t trained_tokens, double seconds, double tokens_per_second) {
  Json line = {{"kind", step.skipped ? "skip" : "train"}, {"step", step.step}, {"loss", number(step.loss)}, {"lr", step.lr},
               {"grad_norm", number(step.grad_norm)}, {"trained_tokens", trained_tokens}, {"seconds", seconds},
               {"tokens_per_second", tokens_per_second}};
  if (step.skipped) add_suspicion(line, step);
  return line;
}

Json spike_line(const StepResult& step) {
  Json line = {{"kind", "spike"}, {"step", step.step}, {"loss", step.loss}, {"expected", step.spike->expected}, {"deviations", step.spike->deviations}};
  add_suspicion(line, step);
  return line;
}

Json divergence_line(const Diverged& diverged) {
  const StepResult& step = diverged.result;
  Json line = {{"kind", "outcome"}, {"outcome", "diverged"}, {"step", step.step}, {"loss", number(step.loss)}, {"grad_norm", number(step.grad_norm)}};
  add_suspicion(line, step);
  return line;
}

Json fault_line(const MachineFault& fault) {
  return {{"kind", "fault"}, {"step", fault.first.step}, {"loss", number(fault.first.loss)}, {"second_loss", number(fault.second_loss)},
          {"grad_norm", number(fault.first.grad_norm)}, {"second_grad_norm", number(fault.second_norm)}, {"where", fault.where}};
}

std::vector<double> rates_of_last_start(const RunDirectory& directory) {
  const auto resumes = directory.metrics("resume");
  const int64_t from = resumes.empty() ? 0 : resumes.back().value("step", int64_t{0});
  std::vector<double> rates;
  for (const Json& line : directory.metrics("train"))
    if (const Json rate = line.value("tokens_per_second", Json()); rate.is_number() && line.value("step", int64_t{0}) > from) rates.push_back(rate);
  return rates;
}

}  // namespace lawa
