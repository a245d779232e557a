#include "evaluate/evaluator.hpp"

#include <algorithm>

#include "core/stop_request.hpp"
#include "tensor/denormals.hpp"

namespace lawa {

BatchBuffer::BatchBuffer(int64_t sequences, int64_t length)
    : inputs_("lawa::inputs", static_cast<size_t>(sequences), static_cast<size_t>(length)),
      targets_("lawa::targets", static_cast<size_t>(sequences), static_cast<size_t>(length)) {}

TokenBatch BatchBuffer::load(const std::vector<std::vector<TokenId>>& windows) {
  const Range some{0, static_cast<int64_t>(windows.size())};
  TokenBatch batch{slice(inputs_, some), slice(targets_, some)};
  const auto inputs = Kokkos::create_mirror_view(batch.inputs), targets = Kokkos::create_mirror_view(batch.targets);
  for (size_t b = 0; b < windows.size(); ++b)
    for (size_t t = 0; t < inputs.extent(1); ++t) {
      inputs(b, t) = static_cast<int32_t>(windows[b][t]);
      targets(b, t) = static_cast<int32_t>(windows[b][t + 1]);
    }
  Kokkos::deep_copy(batch.inputs, inputs);
  Kokkos::deep_copy(batch.targets, targets);
  batch.ids = inputs;
  return batch;
}

Evaluator::Evaluator(const TokenSet& tokens, int64_t sequences, int64_t batch_sequences, int64_t length, const Communicator& comm,
                     bool halves)
    : tokens_(&tokens), comm_(&comm), batch_sequences_(batch_sequences), length_(length), halves_(halves) {
  const int64_t available = tokens.consecutive_windows(length);
  LAWA_CHECK(sequences <= available, "data.validation_sequences: ", sequences, " are asked for, and the validation tokens hold ", available,
             "; 0 takes all of them");
  sequences_ = sequences > 0 ? sequences : available;
  LAWA_CHECK(!halves || sequences_ > 1, "evaluate.halves: the validation set has only ", sequences_, " sequence");
}

/// Over all ranks, nats. Collective.
double Evaluator::summed_loss(const Exec& exec, LanguageModel& model, Range windows, bool in_step) const {
  const DenormalsAsZero fast;
  const Range mine = split(windows.size(), comm_->rank(), comm_->size());
  const int64_t most = (windows.size() + comm_->size() - 1) / comm_->size();  // of a rank
  BatchBuffer buffer(batch_sequences_, length_);
  double loss = 0;
  for (int64_t begin = 0; begin < (in_step ? most : mine.size()); begin += batch_sequences_) {
    if ((in_step ? comm_->max(static_cast<int64_t>(stop_request())) : stop_request()) != no_stop) break;
    std::vector<std::vector<TokenId>> batch;
    for (int64_t i = begin; i < std::min(begin + batch_sequences_, mine.size()); ++i)
      batch.push_back(tokens_->consecutive_window(windows.begin + mine.begin + i, length_));
    loss += model.loss(exec, buffer.load(batch));
  }
  const auto [sum, stopped, unused] = comm_->exchange(loss, stop_request());
  if (stopped != no_stop) throw Stopped(static_cast<StopReason>(stopped));  // a rank may have left some out
  return sum;
}

EvaluationResult Evaluator::evaluate(const Exec& exec, LanguageModel& model, bool in_step) const {
  const int64_t total = sequences_ * length_;
  if (!halves_) return {summed_loss(exec, model, {0, sequences_}, in_step) / static_cast<double>(total), total};
  const Range first{0, (sequences_ + 1) / 2}, second{first.end, sequences_};
  const double tune = summed_loss(exec, model, first, in_step), report = summed_loss(exec, model, second, in_step);
  const auto tokens = [&](Range windows) { return static_cast<double>(windows.size() * length_); };
  return {(tune + report) / static_cast<double>(total), total, EvaluationResult::Halves{tune / tokens(first), report / tokens(second)}};
}

}  // namespace lawa
