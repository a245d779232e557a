#include "train/trainer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <optional>

#include "params/initial_weights.hpp"
#include "tensor/denormals.hpp"
#include "tensor/loops.hpp"
#include "tensor/phases.hpp"

namespace lawa {

namespace {

constexpr const char* skipped_key = "skipped_steps";  // of a header's provenance, where there were any

/// A local buffer. A rank that is alone owns everything: what it works on is the full buffer itself, where that is of floats.
Vector<float> owned_part(const ShardLayout& layout, const Vector<float>& full, const char* name) {
  return layout.ranks() == 1 && rows(full) > 0 ? full : zeros<float>(name, layout.local_size());
}

void exchange(const Exec& exec, const Vector<float>& a, const Vector<float>& b) {
  for_elements("lawa::exchange", exec, {0, rows(a)}, KOKKOS_LAMBDA(int64_t n) {
    const auto i = static_cast<size_t>(n);
    const float kept = a(i);
    a(i) = b(i);
    b(i) = kept;
  });
}

}  // namespace

Diverged::Diverged(const StepResult& made, const std::string& why)
    : Error(concat("step ", made.step, ": the run has diverged (", why.empty() ? concat("loss ", made.loss, ", gradient norm ", made.grad_norm) : why,
                   made.nonfinite ? ": " + made.nonfinite->text() : "", made.rechecked ? "; computed twice, to the same bits" : "",
                   "); a lower schedule.peak_lr or optimizer.clip_norm may help"),
            concat(__FILE__, ":", __LINE__), exit_diverged),
      result(made) {}

MachineFault::MachineFault(const StepResult& made, double loss, double norm, const std::string& ranks)
    : Error(concat("step ", made.step, ": computed twice from the same weights and tokens, and it isn't the same: loss ", made.loss, ", then ", loss,
                   "; gradient norm ", made.grad_norm, ", then ", norm, ": a fault of the machine, on ", ranks,
                   "; nothing of this step is saved, and the same command goes on from the last checkpoint, better without that machine"),
            concat(__FILE__, ":", __LINE__)),
      first(made), second_loss(loss), second_norm(norm), where(ranks) {}

Purpose purpose_of(const TrainConfig& config) {
  if (config.batch.recompute == "block") return Purpose::recompute_block;
  return config.batch.recompute == "attention" ? Purpose::recompute_attention : Purpose::training;
}

bool shares_weights(const TrainConfig& config, int ranks) { return config.sharding == "full" && ranks > 1; }

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
      windows_(table, layout_, shares_weights(config, comm.size())),
      model_(config.model, micro_sequences, windows_.groups(), purpose_of(config), precision_of(config),
             windows_.shared() ? Fetch([this](const Exec& exec, int64_t group) { store_.fetch(exec, group); }) : Fetch()),
      store_(comm, layout_, windows_, model_),
      gradients_(comm, layout_, windows_, model_.gradients()),
      optimizer_(config.optimizer, table, layout_, owned_part(layout_, model_.float_weights(), "lawa::master")),
      averages_(config.averages, layout_),
      plan_(config.seed, config.batch.global_sequences, micro_sequences, tokens.windows(config.model.context), comm.rank(), comm.size()),
      count_(config.batch.global_sequences * config.model.context),
      batch_(micro_sequences, config.model.context),
      spikes_(config.numerics.spike_deviations) {}

void Trainer::start() {
  const HostVector<float> local = on_host(optimizer_.master());
  for (const auto& [range, begin] : layout_.mine())
    initial_weights(*table_, config_->seed, range, {local.data() + begin, static_cast<size_t>(range.size())});
  copy(optimizer_.master(), local);
  store_.set(exec_, optimizer_.master());
}

Json Trainer::load(const std::filesystem::path& weights, bool state) {
  Json averages = Json::object();
  const PlacedFile file = read_shards(*comm_, weights, "weights", *table_, layout_, {{"weights", optimizer_.master()}});
  const FlatHeader& header = file.header;
  check_finite(weights.string(), {{"weights", optimizer_.master()}});
  if (state) {
    const auto read = [&](const std::vector<ShardArray>& arrays) {
      return read_shards(*comm_, state_path(weights.parent_path(), header.step), "state", *table_, layout_, arrays).header;
    };
    const std::vector<ShardArray> moments{{"m", optimizer_.m()}, {"v", optimizer_.v()}};
    const FlatHeader other = read(moments);
    check_finite(state_path(weights.parent_path(), header.step).string(), moments);
    LAWA_CHECK(other.step == header.step && other.trajectory_hash == header.trajectory_hash, weights.string(),
               ": the state file beside it is of step ", other.step, " of another run");
    averages = averages_.restore(other.provenance.value("averages", Json::object()), read);
    step_ = header.step;
    count_.go_on(header.step, header.trained_tokens, header.provenance.value("batch_changes", Json()));
    const Json skipped = header.provenance.value(skipped_key, Json::object());
    skipped_ = {.all = skipped.value("all", int64_t{0}), .in_a_row = skipped.value("in_a_row", int64_t{0})};
  }
  store_.set(exec_, optimizer_.master());
  const NumberFormat format = file.places("weights").format();
  const bool verified_where_they_lie = in_place() && kernels_run_at_once && format == NumberFormat::float32;
  if (!verified_where_they_lie) check_weights(weights.string(), file.digest, format);
  return averages;
}

/// Which rank's model, where it keeps floats, has other weights than a file of this digest; "" where none has.
std::string Trainer::where_copies_differ(const std::string& digest) const {
  const HostVector<float> copy = on_host(slice(model_.float_weights(), {0, layout_.size()}));
  const auto found = comm_->gather(digest_of(block_checksums(std::as_bytes(std::span(copy.data(), copy.size())), NumberFormat::float32)));
  const auto other = std::ranges::find_if(found, [&](const std::string& one) { return one != digest; });
  return other == found.end() ? "" : concat("rank ", other - found.begin(), "'s have the digest ", *other, ", and the file's is ", digest);
}

void Trainer::check_weights(const std::string& path, const std::string& digest, NumberFormat format) const {
  std::string wrong;
  if (!windows_.shared() && rows(model_.float_weights()) > 0 && format == NumberFormat::float32) {
    wrong = where_copies_differ(digest);
  } else {
    const std::string found = digest_of_shards(*comm_, layout_, optimizer_.master(), format);
    if (found != digest) wrong = concat("they have the digest ", found, ", and the file's is ", digest);
    else if (!windows_.shared() && !in_place()) wrong = where_weights_differ(exec_, *comm_, layout_, optimizer_.master(), model_);
  }
  if (wrong.empty()) return;
  throw Error(concat(path, ": the weights in memory aren't what was read (", wrong, "): a fault of the machine, or of this program"),
              concat(__FILE__, ":", __LINE__), exit_error, true);
}

bool Trainer::is_finite() const {
  double sum = 0;
  for (const Vector<float>& local : {optimizer_.master(), optimizer_.m(), optimizer_.v()}) sum += squared_norm(exec_, local);
  return std::isfinite(comm_->sum(sum));
}

std::optional<Nonfinite> Trainer::next_step_is_not_finite() {
  const int64_t steps = config_->numerics.nonfinite == "skip" ? config_->numerics.skips + 1 : 1;
  std::optional<Nonfinite> found;
  for (int64_t ahead = 0; ahead < steps; ++ahead)
    if (found = step_is_not_finite(ahead); !found) break;
  return found;
}

/// Of a step's first sequences, by the present weights; ahead: steps behind the next one.
std::optional<Nonfinite> Trainer::step_is_not_finite(int64_t ahead) {
  const auto micro_batches = plan_.micro_batches(tokens() / config_->model.context + ahead * config_->batch.global_sequences);
  const Finished finish = [this](Range finished) { gradients_.finish(exec_, finished.begin); };
  double loss = 0;
  if (windows_.shared()) {
    gradients_.begin(true);
    loss = model_.forward_backward(exec_, micro_batches.empty() ? TokenBatch() : load_batch(micro_batches[0]), 1, Gradients::overwrite, finish);
  } else if (!micro_batches.empty()) {
    loss = model_.forward_backward(exec_, load_batch(micro_batches[0]), 1, Gradients::overwrite);
  } else {
    fill(exec_, model_.gradients(), 0.0f);
  }
  const double sum = loss + squared_norm(exec_, windows_.shared() ? gradients_.mine() : model_.gradients());
  if (std::isfinite(comm_->sum(sum))) return std::nullopt;
  return find_nonfinite(loss);
}

std::optional<Nonfinite> Trainer::find_nonfinite(double mine) const {
  return lawa::find_nonfinite(exec_, *comm_, *table_, layout_, {mine, own_gradients(), gradients_.mine()});
}

/// This rank's own, of all weights; none where windows are shared, and only sums over the ranks are kept.
Vector<float> Trainer::own_gradients() const { return windows_.shared() ? Vector<float>() : model_.gradients(); }

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

Trainer::Computed Trainer::compute(int64_t saved) {
  const DenormalsAsZero fast;
  const double mine = accumulate_gradients();
  const auto [loss, stop, saved_by_all] = comm_->exchange(mine, stop_request(), saved);
  const double norm = std::sqrt(comm_->sum(in_phase("optimizer", [&] { return squared_norm(exec_, gradients_.mine()); })));
  return {.loss = loss, .norm = norm, .mine = mine, .stop = static_cast<StopReason>(stop), .saved = saved_by_all};
}

void Trainer::recheck(const Computed& first) {
  const auto same = [](double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (std::isnan(a) && std::isnan(b)); };
  const double before = squared_norm(exec_, own_gradients());
  const Computed second = compute();
  if (same(first.loss, second.loss) && same(first.norm, second.norm)) return;
  const bool mine = !same(first.mine, second.mine) || !same(before, squared_norm(exec_, own_gradients()));
  const auto hosts = hosts_of_ranks(*comm_), at_fault = comm_->gather(mine ? "1" : "");
  std::string where;
  for (size_t rank = 0; rank < hosts.size(); ++rank)
    if (!at_fault[rank].empty()) where += concat(where.empty() ? "rank " : ", rank ", rank, " (host ", hosts[rank], ")");
  throw MachineFault({.step = step_ + 1, .loss = first.loss, .lr = learning_rate(config_->schedule, step_ + 1), .grad_norm = first.norm}, second.loss, second.norm,
                     where.empty() ? "the way between the ranks" : where);
}

StepResult Trainer::train_step(int64_t saved) {
  const int64_t next = step_ + 1;
  const Computed made = compute(saved);
  StepResult step{.step = next, .loss = made.loss, .lr = learning_rate(config_->schedule, next), .grad_norm = made.norm, .stop = made.stop, .saved = made.saved};
  const bool finite = std::isfinite(made.loss) && std::isfinite(made.norm);
  if (!finite) step.nonfinite = find_nonfinite(made.mine);
  else step.spike = spikes_.judge(made.loss);
  if (config_->numerics.recheck && (step.spike || !finite)) {
    recheck(made);
    step.rechecked = true;
  }
  step.skipped = !finite && config_->numerics.nonfinite == "skip" && skipped_.in_a_row < config_->numerics.skips;
  if (!finite && !step.skipped) throw Diverged(step, skipped_.in_a_row == 0 ? "" : concat("loss ", made.loss, ", gradient norm ", made.norm, ", behind ",
                                                                                          skipped_.in_a_row, " skipped steps in a row, the most by numerics.skips"));
  skipped_.add(step.skipped);
  if (finite) {
    update(made.norm, step.lr, next - skipped_.all);
    spikes_.add(made.loss);
  }
  in_phase("averages", [&] { averages_.observe(exec_, next, optimizer_.master()); });  // exact, and so with denormal numbers
  step_ = next;
  return step;
}

/// AdamW's n-th, and the weights that it makes, on every rank.
void Trainer::update(double norm, double lr, int64_t n) {
  const DenormalsAsZero fast;
  in_phase("optimizer", [&] { optimizer_.update(exec_, gradients_.mine(), lr, clip_factor(norm, config_->optimizer.clip_norm), n); });
  store_.set(exec_, optimizer_.master());
}

TokenBatch Trainer::load_batch(const std::vector<int64_t>& micro_batch) {
  return in_phase("data", [&] {
    std::vector<std::vector<TokenId>> windows;
    for (const int64_t window : micro_batch) windows.push_back(tokens_->window(window, config_->model.context));
    return batch_.load(windows);
  });
}

/// Leaves the sum over ranks in gradients_; returns this rank's part of the mean loss [nats/token].
double Trainer::accumulate_gradients() {
  const double scale = 1.0 / static_cast<double>(config_->batch.global_sequences * config_->model.context);
  const auto micro_batches = plan_.micro_batches(tokens() / config_->model.context);
  const int64_t rounds = windows_.shared() ? plan_.most_micro_batches() : std::max(std::ssize(micro_batches), int64_t{1});
  const Finished finish = [this](Range finished) { gradients_.finish(exec_, finished.begin); };
  double loss = 0;
  for (int64_t i = 0; i < rounds; ++i) {
    const bool go = windows_.shared() || i + 1 == rounds;  // through gradients_
    if (go) gradients_.begin(!windows_.shared() || i == 0);
    const TokenBatch batch = i < std::ssize(micro_batches) ? load_batch(micro_batches[static_cast<size_t>(i)]) : TokenBatch();
    loss += model_.forward_backward(exec_, batch, scale, windows_.shared() || i == 0 ? Gradients::overwrite : Gradients::add, go ? finish : Finished());
  }
  return loss * scale;
}

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
  else store_.set(exec_, mine);
  work();
  if (in_place()) exchange(exec_, optimizer_.master(), mine);
  else store_.set(exec_, optimizer_.master());
}

FlatHeader Trainer::header_of(const FlatHeader& run, int64_t step) const {
  FlatHeader header = run;
  header.kind = "weights";
  header.step = step;
  header.trained_tokens = tokens_until(step);
  if (const Json changes = count_.json(); !changes.is_null()) header.provenance["batch_changes"] = changes;
  if (skipped_.all > 0) header.provenance[skipped_key] = {{"all", skipped_.all}, {"in_a_row", skipped_.in_a_row}};
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
