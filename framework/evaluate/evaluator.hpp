// The loss of a model on a fixed validation set, shared out over the ranks.
#pragma once
#include <optional>

#include "comm/communicator.hpp"
#include "data/token_file.hpp"
#include "model/language_model.hpp"

namespace lawa {

struct EvaluationResult {
  struct Halves {
    double tune_loss = 0, report_loss = 0;  ///< of the first and the second half, nats/token
  };
  double loss = 0;     ///< nats/token
  int64_t tokens = 0;  ///< predicted tokens
  std::optional<Halves> halves{};
};

/// Windows of T+1 consecutive tokens that overlap by one: the same set for every step, seed and number of ranks.
class Evaluator {
 public:
  /// The first `sequences` windows of the tokens (0: all), in batches of `batch_sequences`. With `halves` they are cut into a first and
  /// a second half (the first has one more of an odd number), each with a loss of its own. Errors: there are fewer windows than asked
  /// for, or only one to be cut.
  Evaluator(const TokenSet& tokens, int64_t sequences, int64_t batch_sequences, int64_t length, const Communicator& comm,
            bool halves = false);

  /// in_step: all ranks call the model equally often, some without sequences, as its weights are shared out. Collective. Errors, on all ranks alike: Stopped, where one of them has been asked to (core/stop_request.hpp).
  EvaluationResult evaluate(const Exec& exec, LanguageModel& model, bool in_step = false) const;

 private:
  double summed_loss(const Exec& exec, LanguageModel& model, Range windows, bool in_step) const;

  const TokenSet* tokens_;
  const Communicator* comm_;
  int64_t sequences_, batch_sequences_, length_;
  bool halves_;
};

/// Windows of T+1 tokens as a batch on the device: inputs are the first T of each, targets the last T.
class BatchBuffer {
 public:
  BatchBuffer(int64_t sequences, int64_t length);
  /// The batch of these windows; valid until the next call.
  TokenBatch load(const std::vector<std::vector<TokenId>>& windows);

 private:
  Matrix<int32_t> inputs_, targets_;
};

}  // namespace lawa
