#include "train/trainer.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "evaluate/gather_weights.hpp"
#include "params/initial_weights.hpp"
#include "tensor/denormals.hpp"
#include "tensor/phases.hpp"

namespace lawa {

namespace {

/// A local buffer. A rank that is alone owns everything: what it works on is the full buffer itself, where that is of floats.
Vector<float> owned_part(const ShardLayout& layout, const Vector<float>& full, const char* name) {
  return layout.ranks() == 1 && rows(full) > 0 ? full : zeros<float>(name, layout.local_size());
}

void exchange(const Exec& exec, const Vector<float>& a, const Vector<float>& b) {
  Kokkos::parallel_for("lawa::exchange", over(exec, rows(a)), KOKKOS_LAMBDA(int64_t n) {
    const auto i = static_cast<size_t>(n);
    const float kept = a(i);
    a(i) = b(i);
    b(i) = kept;
  });
}

}  // namespace

Diverged::Diverged(const StepResult& made, const std::string& why)
    : Error(concat("step ", made.step, ": the run has diverged (", why.empty() ? concat("loss ", made.loss, ", gradient norm ", made.grad_norm) : why,
                   "); a lower schedule.peak_lr or optimizer.clip_norm may help"),
            concat(__FILE__, ":", __LINE__), exit_diverged),
      result(made) {}

Purpose purpose_of(const TrainConfig& config) {
  if (config.batch.recompute == "block") return Purpose::recompute_block;
  return config.batch.recompute == "attention" ? Purpose::recompute_attention : Purpose::training;
}

int64_t micro_sequences(const TrainConfig& config, int ranks) {
  const int64_t share = (config.batch.global_sequences + ranks - 1) / ranks;
  if (config.batch.micro_sequences > 0) return std::min(config.batch.micro_sequences, share);
  int64_t sequences = 1;
  const auto bytes = [&](int64_t n) { return LanguageModel::activation_bytes(config.model, n, purpose_of(config), precision_of(config)); };
  while (sequences < share && bytes(sequences + 1) <= config.batch.memory_budget) ++sequences;
  return sequences;
}

Trainer::Trainer(const TrainConfig& config, const Communicator& comm, const ParameterTable& table, const TokenSet& tokens,
                 int64_t micro_sequences)
    : config_(&config),
      comm_(&comm),
      table_(&table),
      tokens_(&tokens),
      layout_(table.size(), comm.rank(), comm.size(), table.group_ends()),
      model_(config.model, micro_sequences, layout_.padded_size(), purpose_of(config), precision_of(config)),
      optimizer_(config.optimizer, table, layout_, owned_part(layout_, model_.float_weights(), "lawa::master")),
      averages_(config.averages, layout_),
      plan_(config.seed, config.batch.global_sequences, micro_sequences, tokens.windows(config.model.context), comm.rank(), comm.size()),
      count_(config.batch.global_sequences * config.model.context),
      batch_(micro_sequences, config.model.context),
      gradient_(owned_part(layout_, model_.gradients(), "lawa::gradient")) {}

void Trainer::start() {
  const HostVector<float> local = on_host(optimizer_.master());
  for (const auto& [range, begin] : layout_.mine())
    initial_weights(*table_, config_->seed, range, {local.data() + begin, static_cast<size_t>(range.size())});
  copy(optimizer_.master(), local);
  gather(optimizer_.master());
}

Json Trainer::load(const std::filesystem::path& weights, bool state) {
  Json averages = Json::object();
  const FlatHeader header = read_shards(*comm_, weights, "weights", *table_, layout_, {{"weights", optimizer_.master()}});
  check_finite(weights.string(), {{"weights", optimizer_.master()}});
  if (state) {
    const auto read = [&](const std::vector<ShardArray>& arrays) {
      return read_shards(*comm_, state_path(weights.parent_path(), header.step), "state", *table_, layout_, arrays);
    };
    const std::vector<ShardArray> moments{{"m", optimizer_.m()}, {"v", optimizer_.v()}};
    const FlatHeader other = read(moments);
    check_finite(state_path(weights.parent_path(), header.step).string(), moments);
    LAWA_CHECK(other.step == header.step && other.trajectory_hash == header.trajectory_hash, weights.string(),
               ": the state file beside it is of step ", other.step, " of another run");
    averages = averages_.restore(other.provenance.value("averages", Json::object()), read);
    step_ = header.step;
    count_.go_on(header.step, header.trained_tokens, header.provenance.value("batch_changes", Json()));
  }
  gather(optimizer_.master());
  return averages;
}

bool Trainer::is_finite() const {
  double sum = 0;
  for (const Vector<float>& local : {optimizer_.master(), optimizer_.m(), optimizer_.v()}) sum += squared_norm(exec_, local);
  return std::isfinite(comm_->sum(sum));
}

bool Trainer::next_step_is_finite() {
  const auto micro_batches = plan_.micro_batches(tokens() / config_->model.context);
  double sum = 0;
  if (!micro_batches.empty()) {
    sum += model_.forward_backward(exec_, load_batch(micro_batches[0]), 1, Gradients::overwrite);
    sum += squared_norm(exec_, model_.gradients());
  }
  return std::isfinite(comm_->sum(sum));
}

/// Errors, on all ranks: an array, a local buffer of this file's, holds a number that isn't finite. Collective.
void Trainer::check_finite(const std::string& path, const std::vector<ShardArray>& arrays) const {
  comm_->together([&] {
    for (const auto& [name, local, format, constant] : arrays) {
      if (std::isfinite(squared_norm(exec_, std::get<Vector<float>>(local)))) continue;
      const HostVector<float> values = on_host(std::get<Vector<float>>(local));
      for (const auto& [range, begin] : layout_.mine())
        for (const Parameter& tensor : table_->parameters()) {
          const Range some = intersect(tensor.range(), range);
          for (int64_t i = some.begin; i < some.end; ++i)
            LAWA_CHECK(std::isfinite(values(static_cast<size_t>(begin + i - range.begin))), path, ": ", name, ": element ",
                       i - tensor.range().begin, " of ", tensor.name, " isn't finite: a run can't begin from it");
        }
    }
  });
}

StepResult Trainer::train_step(int64_t saved) {
  std::optional<DenormalsAsZero> fast(std::in_place);
  const int64_t next = step_ + 1;
  const double mine = accumulate_gradients();
  const auto [loss, stop, saved_by_all] = comm_->exchange(mine, stop_request(), saved);
  const double norm = std::sqrt(comm_->sum(in_phase("optimizer", [&] { return squared_norm(exec_, gradient_); })));
  const double lr = learning_rate(config_->schedule, next);
  if (!std::isfinite(loss) || !std::isfinite(norm)) throw Diverged({next, loss, lr, norm});
  in_phase("optimizer", [&] { optimizer_.update(exec_, gradient_, lr, clip_factor(norm, config_->optimizer.clip_norm), next); });
  gather(optimizer_.master());
  fast.reset();  // averages are exact
  in_phase("averages", [&] { averages_.observe(exec_, next, optimizer_.master()); });
  step_ = next;
  return {step_, loss, lr, norm, static_cast<StopReason>(stop), saved_by_all};
}

TokenBatch Trainer::load_batch(const std::vector<int64_t>& micro_batch) {
  return in_phase("data", [&] {
    std::vector<std::vector<TokenId>> windows;
    for (const int64_t window : micro_batch) windows.push_back(tokens_->window(window, config_->model.context));
    return batch_.load(windows);
  });
}

/// Leaves the sum over ranks in gradient_; returns this rank's part of the mean loss [nats/token].
double Trainer::accumulate_gradients() {
  const double scale = 1.0 / static_cast<double>(config_->batch.global_sequences * config_->model.context);
  const auto micro_batches = plan_.micro_batches(tokens() / config_->model.context);
  unreduced_buckets_ = layout_.buckets();
  if (micro_batches.empty()) fill(exec_, model_.gradients(), 0.0f);
  double loss = 0;
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    Finished reduce;
    if (i + 1 == micro_batches.size()) reduce = [this](Range finished) { reduce_from(finished.begin); };
    loss += model_.forward_backward(exec_, load_batch(micro_batches[i]), scale, i == 0 ? Gradients::overwrite : Gradients::add, reduce);
  }
  reduce_from(0);  // a rank without sequences takes part here
  return loss * scale;
}

/// Reduces the buckets that begin at or after `begin` and aren't reduced yet, the last first: the same order on every rank.
void Trainer::reduce_from(int64_t begin) {
  if (layout_.ranks() == 1) return;
  for (; unreduced_buckets_ > 0 && layout_.bucket(unreduced_buckets_ - 1).begin >= begin; --unreduced_buckets_) {
    const int64_t i = unreduced_buckets_ - 1;
    comm_->reduce_scatter_sum(exec_, slice(model_.gradients(), layout_.bucket(i)), slice(gradient_, layout_.local_bucket(i)));
  }
}

void Trainer::gather(const Vector<float>& local) { gather_weights(exec_, *comm_, layout_, local, model_); }

/// The model's weights are the ones that are updated.
bool Trainer::in_place() const { return model_.float_weights().data() == optimizer_.master().data(); }

/// A local buffer of an average.
Vector<float> Trainer::average(size_t i) const {
  const Vector<float> local = zeros<float>("lawa::average", layout_.local_size());
  averages_.average(exec_, i, local);
  return local;
}

/// Puts the present weights of some tensors into a local buffer of an average.
void Trainer::keep_plain(const std::vector<std::string>& exclude, const Vector<float>& average) const {
  for (const Parameter& tensor : table_->parameters()) {
    if (std::ranges::none_of(exclude, [&](const std::string& entry) { return excludes(entry, tensor.name); })) continue;
    for (const auto& [range, local] : layout_.mine()) {
      const Range some = intersect(tensor.range(), range);
      if (some.size() <= 0) continue;
      const Range here{local + some.begin - range.begin, local + some.end - range.begin};
      copy(slice(average, here), slice(optimizer_.master(), here));
    }
  }
}

void Trainer::with_average(size_t i, const AverageSpec& model, const std::function<void()>& work) {
  const Vector<float> mine = average(i);
  if (model.blend != 1) blend(exec_, model.blend, optimizer_.master(), mine);
  keep_plain(model.exclude, mine);
  if (in_place()) exchange(exec_, optimizer_.master(), mine);
  else gather(mine);
  work();
  if (in_place()) exchange(exec_, optimizer_.master(), mine);
  else gather(optimizer_.master());
}

FlatHeader Trainer::header_of(const FlatHeader& run, int64_t step) const {
  FlatHeader header = run;
  header.kind = "weights";
  header.step = step;
  header.trained_tokens = tokens_until(step);
  if (const Json changes = count_.json(); !changes.is_null()) header.provenance["batch_changes"] = changes;
  return header;
}

FileToSave Trainer::average_file(size_t i, const std::filesystem::path& folder, const FlatHeader& run, bool durably) const {
  FlatHeader header = header_of(run, averages_.step(i));
  header.provenance["average"] = averages_.describe(i);
  const auto write = [=](const FileRecord& file) {
    write_record(folder, {header.step, header.trained_tokens, header.trajectory_hash, file, {}}, durably);
  };
  return {weights_path(folder, header.step), header, {{.name = "weights", .local = average(i), .constant = true}}, write};
}

std::vector<FileToSave> Trainer::checkpoint(const std::filesystem::path& folder, const FlatHeader& run, bool state, const OpenEnds& open,
                                            bool durably) const {
  const FlatHeader header = header_of(run, step_);
  const auto record = std::make_shared<CommitRecord>(CommitRecord{
      .step = header.step, .trained_tokens = header.trained_tokens, .trajectory_hash = header.trajectory_hash, .weights = {}, .state = {}, .open = open});
  std::vector<FileToSave> files;
  exec_.fence();
  if (state) {
    FlatHeader of_state = header;
    of_state.kind = "state";
    std::vector<ShardArray> arrays{{"m", optimizer_.m()}, {"v", optimizer_.v()}};
    if (averages_.size() > 0) {
      std::ranges::copy(averages_.arrays(), std::back_inserter(arrays));
      of_state.provenance["averages"] = averages_.description();
    }
    files.push_back({state_path(folder, step_), of_state, arrays, [record](const FileRecord& file) { record->state = file; }});
  }
  files.push_back({weights_path(folder, step_), header, {{"weights", optimizer_.master()}}, [=](const FileRecord& file) {
                     record->weights = file;
                     write_record(folder, *record, durably);
                   }});
  return files;
}

}  // namespace lawa
