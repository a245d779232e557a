#include "train/evaluations.hpp"

#include <cmath>

#include "core/timer.hpp"
#include "tensor/phases.hpp"
#include "train/summary.hpp"

namespace lawa {

std::string short_digest(const std::string& digest) { return digest.substr(0, 16); }

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Evaluations::Evaluations(const TrainConfig& config, const Communicator& comm, const TokenSet& validation, const std::string& digest,
                         int64_t batch_sequences, Trainer& trainer)
    : config_(config), digest_(short_digest(digest)), trainer_(trainer),
      evaluator_(validation, config.data.validation_sequences, batch_sequences, config.model.context, comm, config.evaluate.halves) {
  for (const OnlineAverageConfig& average : config.averages)
    for (const AverageSpec& spec : models_of(average))
      models_.push_back({trainer.averages().find(average), spec, evaluation_steps(average, config.evaluate)});
}

StopReason Evaluations::make(const std::function<void(const Json&)>& record) {
  const OnlineAverages& averages = trainer_.averages();
  const auto now = due_averages();
  if (now.empty() && !plain_is_due()) return no_stop;
  const Phase phase(evaluation_phase);
  StopReason stop = no_stop;
  const auto evaluate = [&](const std::string& name, const Json& description, int64_t of_step) {
    try {
      record(line(name, description, of_step));
    } catch (const Stopped& stopped) {  // on all ranks alike
      stop = stopped.reason;
    }
  };
  evaluate("plain", {{"scheme", "plain"}, {"window", 1}, {"stride", 0}}, trainer_.step());
  for (auto model = now.begin(); stop == no_stop && model != now.end(); ++model) {
    const auto& [i, spec, steps] = **model;
    trainer_.with_average(i, spec, [&] { evaluate(name(spec), describe(spec, averages.snapshots(i)), averages.step(i)); });
  }
  return stop;
}

std::vector<const Evaluations::AverageModel*> Evaluations::due_averages() const {
  std::vector<const AverageModel*> found;
  for (const AverageModel& model : models_)
    if (is_due(model.spec, model.steps, trainer_.averages().step(model.average), trainer_.step(), config_.schedule.steps))
      found.push_back(&model);
  return found;
}

Json Evaluations::line(const std::string& name, const Json& description, int64_t step) {
  const Stopwatch clock;
  const EvaluationResult result = evaluator_.evaluate(trainer_.exec(), trainer_.model(), trainer_.in_step());
  Json line = {{"kind", "evaluate"}, {"step", step}, {"model", name}};
  line.update(description);
  line["loss"] = number(result.loss);
  if (result.halves) line.update({{"tune_loss", number(result.halves->tune_loss)}, {"report_loss", number(result.halves->report_loss)}});
  line.update({{"validation_tokens", result.tokens}, {"validation_digest", digest_}, {"trained_tokens", trainer_.tokens_until(step)}, {"seconds", clock.seconds()}});
  if (name != "plain") line["evaluated_at"] = trainer_.step();
  return line;
}

}  // namespace lawa
