#include "train/run_plan.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "average/progress.hpp"
#include "checkpoint/flat_file.hpp"
#include "params/shard_layout.hpp"
#include "train/evaluation_steps.hpp"
#include "train/save_steps.hpp"
#include "train/trainer.hpp"

namespace lawa {
namespace {

constexpr int64_t steps_of_a_save = 2;  // that the ranks need at least to agree that a save is done; a slow disk takes more

/// The run's averages, each once, as they go through its steps.
class PlannedAverages {
 public:
  explicit PlannedAverages(const TrainConfig& config) : last_(config.schedule.steps) {
    for (const OnlineAverageConfig& entry : config.averages) {
      const size_t i = find(spec_of(entry));
      if (entry.save) saved_.emplace(i, 0);
      for (const AverageSpec& model : models_of(entry)) models_.push_back({i, model, evaluation_steps(entry, config.evaluate)});
    }
  }

  void observe(int64_t step) {
    for (AverageProgress& average : averages_) {
      const int64_t oldest = average.members.empty() ? 0 : average.members.front();
      const auto before = average.members.size();
      if (!average.take(step) || average.spec.window == 0) continue;
      ++users_[step];
      most_ = std::max(most_, std::ssize(users_));
      if (average.members.size() == before && --users_[oldest] == 0) users_.erase(oldest);
    }
  }
  int64_t due(int64_t step) const {
    return std::ranges::count_if(models_, [&](const Model& m) { return is_due(m.spec, m.steps, averages_[m.average].step(), step, last_); });
  }
  /// Of those that are saved, how many are new.
  int64_t save() {
    return std::ranges::count_if(saved_, [&](auto& saved) {
      const int64_t step = averages_[saved.first].step();
      return std::exchange(saved.second, step) != step;
    });
  }
  int64_t sums() const { return std::ranges::count(averages_, 0, [](const AverageProgress& average) { return average.spec.window; }); }
  int64_t snapshots() const { return std::ssize(users_); }
  int64_t most_snapshots() const { return most_; }

 private:
  struct Model {
    size_t average;
    AverageSpec spec;
    EvaluationSteps steps;
  };
  size_t find(const AverageSpec& spec) {
    const auto found = std::ranges::find(averages_, name(spec), [](const AverageProgress& average) { return name(average.spec); });
    const auto i = static_cast<size_t>(found - averages_.begin());
    if (found == averages_.end()) averages_.push_back({.spec = spec});
    return i;
  }

  int64_t last_;
  std::vector<AverageProgress> averages_;
  std::vector<Model> models_;
  std::map<size_t, int64_t> saved_;    // which are saved, and the step of the last file
  std::map<int64_t, int64_t> users_;   // of each snapshot
  int64_t most_ = 0;
};

/// The checkpoints that lie there, by the rules of RunDirectory::retire.
class PlannedWeights {
 public:
  explicit PlannedWeights(const CheckpointConfig& config) : config_(config) {}

  void add(int64_t step) { steps_.push_back(step); }
  template <class HasState>
  void retire(const HasState& has_state) {
    if (config_.keep_weights == 0 || count() <= config_.keep_weights) return;
    const int64_t every = config_.keep_weights_steps;
    const auto newest = steps_.end() - config_.keep_weights;
    steps_.erase(std::remove_if(steps_.begin(), newest, [&](int64_t step) { return (every == 0 || step % every != 0) && !has_state(step); }), newest);
  }
  int64_t count() const { return std::ssize(steps_); }

 private:
  const CheckpointConfig& config_;
  std::vector<int64_t> steps_;
};

/// The arrays of a state: moments, sums, snapshots.
std::vector<ArraySpec> state_arrays(int64_t sums, int64_t snapshots) {
  std::vector<ArraySpec> arrays(static_cast<size_t>(2 + snapshots), {"array", NumberFormat::float32});
  arrays.resize(arrays.size() + static_cast<size_t>(sums), {"sum", NumberFormat::float64});
  return arrays;
}

}  // namespace

RunOutput run_output(const TrainConfig& config, int64_t first_step) {
  FlatHeader header;
  header.table = model_parameters(config.model, config.optimizer.decay_embeddings);
  header.config = dump_config(config);
  RunOutput out{.weights_bytes = expected_bytes(header, {{"weights"}})};
  std::map<int64_t, int64_t> state_bytes;  // by snapshots
  const auto state_of = [&](int64_t sums, int64_t snapshots) {
    int64_t& bytes = state_bytes[snapshots];
    if (bytes == 0) bytes = expected_bytes(header, state_arrays(sums, snapshots));
    return bytes;
  };

  PlannedAverages averages(config);
  const EvaluationSteps plain = evaluation_steps(config.evaluate);
  const int64_t last = config.schedule.steps;
  int64_t averages_bytes = 0, kept = 0;  // bytes that lie there: of averages, of states
  PlannedWeights weights(config.checkpoint);
  std::vector<std::pair<int64_t, int64_t>> states;  // those that are kept, the oldest first: their steps and bytes
  for (int64_t step = first_step + 1; step <= last; ++step) {
    averages.observe(step);
    const int64_t due = averages.due(step);
    if (due > 0 || plain.contains(step, last)) out.evaluations += 1 + due;
    if (!saves_weights(config.checkpoint, step, last)) continue;
    const int64_t saved = averages.save();
    out.averages += saved;
    ++out.checkpoints;
    averages_bytes += saved * out.weights_bytes;
    out.written_bytes += (1 + saved) * out.weights_bytes;
    weights.add(step);
    if (saves_state(config.checkpoint, step, last)) {
      const int64_t bytes = state_of(averages.sums(), averages.snapshots());
      states.emplace_back(step, bytes);
      kept += bytes;
      ++out.states;
      out.written_bytes += bytes;
      out.state_bytes = std::max(out.state_bytes, bytes);
      out.most_states = std::max(out.most_states, std::ssize(states));
    }
    out.most_weights = std::max(out.most_weights, weights.count());
    out.disk_bytes = std::max(out.disk_bytes, weights.count() * out.weights_bytes + averages_bytes + kept);
    if (std::ssize(states) > config.checkpoint.keep_states) {
      kept -= states.front().second;
      states.erase(states.begin());
    }
    weights.retire([&](int64_t one) { return std::ranges::count(states, one, &std::pair<int64_t, int64_t>::first) > 0; });
  }
  out.most_snapshots = averages.most_snapshots();
  return out;
}

RankMemory rank_memory(const TrainConfig& config, int ranks, int64_t most_snapshots) {
  const ParameterTable table = model_parameters(config.model, config.optimizer.decay_embeddings);
  const ShardLayout layout(table.size(), 0, ranks, table.group_ends());
  const Windows windows(table, layout, shares_weights(config, ranks));
  const int64_t full = windows.groups().size, mine = layout.local_size(), sums = PlannedAverages(config).sums();
  const bool fp32 = precision_of(config) == Precision::fp32, alone = ranks == 1;
  RankMemory memory;
  memory.weights = (fp32 ? 4 : 2) * full;
  memory.gradients = 4 * full + (windows.shared() ? 4 * GradientStore::micro_batch_size(layout) : 0);
  memory.activations = LanguageModel::activation_bytes(config.model, micro_sequences(config, ranks), purpose_of(config), precision_of(config));
  memory.optimizer = 4 * mine * (2 + (alone && fp32 ? 0 : 1) + (alone ? 0 : 1));
  memory.averages = 8 * mine * sums + (config.averages.empty() ? 0 : 4 * mine);
  memory.snapshots = 4 * mine * most_snapshots;
  if (const CheckpointConfig& saves = config.checkpoint; saves.asynchronous && saves.writer != "hdf5") {
    const auto averages = std::ranges::count_if(config.averages, [](const OnlineAverageConfig& average) { return average.save; });
    const bool overlap = (saves.steps > 0 && saves.steps <= steps_of_a_save) || (saves.state_steps > 0 && saves.state_steps <= steps_of_a_save);
    memory.saves = (overlap ? 2 : 1) * mine * (4 * (3 + averages) + 8 * sums);
  }
  return memory;
}

double split_efficiency(int64_t sequences, int64_t ranks) {
  const int64_t most = (sequences + ranks - 1) / ranks;
  return static_cast<double>(sequences) / (static_cast<double>(most) * static_cast<double>(ranks));
}

const MeasuredShare& measured_share(int64_t parameters) {
  static constexpr MeasuredShare measured[] = {  // the gemm_share of tests/benchmark/training.jsonl
      {"quickstart", 836'736, 0.76, 0.62}, {"l4_c128", 1'344'640, 0.77, 0.64}, {"l6_c384", 10'818'432, 0.86, 0.77}, {"small", 124'373'760, 0.93, 0.80}};
  const auto larger = std::ranges::find_if(measured, [&](const MeasuredShare& one) { return one.parameters > parameters; });
  return larger == std::begin(measured) ? *larger : *std::prev(larger);
}

double expected_share(int64_t parameters, Precision precision) {
  if (!kernels_run_at_once) return assumed_gpu_share;
  const MeasuredShare& measured = measured_share(parameters);
  return precision == Precision::bf16 ? measured.bf16 : measured.fp32;
}

}  // namespace lawa
