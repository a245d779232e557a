// A run's evaluations: which models are due, and a line of metrics.jsonl for each.
#pragma once
#include <functional>
#include <vector>

#include "evaluate/evaluator.hpp"
#include "train/evaluation_steps.hpp"
#include "train/trainer.hpp"

namespace lawa {

/// What a line says of the tokens that it was evaluated on: the first 16 digits of their digest.
std::string short_digest(const std::string& digest);
/// The number, or null where it isn't finite: JSON has none.
Json number(double value);

class Evaluations {
 public:
  /// In batches of `batch_sequences`, on tokens of this digest. Objects passed by reference must outlive it. Errors: Evaluator's.
  Evaluations(const TrainConfig& config, const Communicator& comm, const TokenSet& validation, const std::string& digest, int64_t batch_sequences,
              Trainer& trainer);

  /// Whether anything is due at the trainer's step: the plain weights, or an average that is new since it was due before.
  bool due() const { return plain_is_due() || !due_averages().empty(); }
  /// Evaluates the plain weights, then each average that is due, at its newest member's step; nothing where nothing is due. One line each
  /// goes to `record` as it is made. Collective. Returns why it was left before all were made; no_stop: they are.
  StopReason make(const std::function<void(const Json&)>& record);

 private:
  /// An average as it is evaluated.
  struct AverageModel {
    size_t average;  ///< which of the trainer's averages
    AverageSpec spec;
    EvaluationSteps steps;
  };

  bool plain_is_due() const { return evaluation_steps(config_.evaluate).contains(trainer_.step(), config_.schedule.steps); }
  std::vector<const AverageModel*> due_averages() const;
  Json line(const std::string& name, const Json& description, int64_t step);

  const TrainConfig& config_;
  std::string digest_;
  Trainer& trainer_;
  Evaluator evaluator_;
  std::vector<AverageModel> models_;
};

}  // namespace lawa
