#include "train/training_run.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "checkpoint/flat_file.hpp"
#include "checkpoint/run_directory.hpp"
#include "core/files.hpp"
#include "core/tries.hpp"
#include "core/version.hpp"
#include "ops/gemm.hpp"
#include "ops/gemm_rate.hpp"
#include "tensor/device.hpp"
#include "train/checked_tokens.hpp"
#include "train/continuation.hpp"
#include "train/evaluations.hpp"
#include "train/pace.hpp"
#include "train/resume.hpp"
#include "train/run_report.hpp"
#include "train/save_steps.hpp"
#include "train/saver.hpp"
#include "train/start.hpp"
#include "train/step_lines.hpp"
#include "train/stop_rule.hpp"
#include "train/summary.hpp"
#include "train/time_limit.hpp"
#include "train/trainer.hpp"
#include "train/warnings.hpp"

namespace lawa {
namespace fs = std::filesystem;

namespace {

constexpr double slow_disk_rate = 1e8;  // bytes/s: what a save takes before one has been timed
constexpr double judged_step_flops = kernels_run_at_once ? 2e11 : 2e14;  // a rank's: longer steps are worth a second to judge them by

class TrainingRun {
 public:
  TrainingRun(const Communicator& comm, const TrainConfig& config, Log& log, const ConfigSource& source, double measured_from)
      : comm_(comm), config_(config), log_(log), measured_from_(measured_from),
        table_(model_parameters(config.model, config.optimizer.decay_embeddings)), report_(config, log), stop_rule_(config) {
    const Phase phase(start_phase);
    LAWA_CHECK(multiplies_in(precision_of(config)), "precision", source.where("precision"), ": this build on this processor can't multiply ",
               "in ", config.precision, " (oneDNN and AVX-512, or a GPU)");
    comm.together([&] { tokens_.emplace(config.data.train, "data.train" + source.where("data.train"), config.model.vocabulary); });
    const std::string digest = checked_digest(comm, *tokens_);
    if (evaluates(config)) {
      comm.together([&] {
        validation_.emplace(config.data.validation, "data.validation" + source.where("data.validation"), config.model.vocabulary);
      });
      comm.together([&] { check_same_tokenizer(*tokens_, *validation_); });
      validation_digest_ = checked_digest(comm, *validation_);
    }
    identify(digest, source);
    const LockPatience patience{config.run.lock_seconds, "run.lock_seconds", [&](const std::string& text) { log_.line(text); }};
    const auto on = [&](const std::string& found) {
      return goes_on(config.run.directory, found, {config, digest, start_digest_, validation_digest_}, source, patience.say);
    };
    directory_ = trying([&] { return std::make_unique<RunDirectory>(comm, config.run.directory, header_.trajectory_hash, patience, on); });
    header_.trajectory_hash = directory_->trajectory_hash();
    remember_last_start();
    comm.on_root([&] {
      for (const OnlineAverageConfig& average : config.averages)
        if (average.save)
          check_fits(directory_->path(), part_of(weights_path(fs::path("averages") / folder(spec_of(average)), config.schedule.steps)));
    });
    if (trying([&] { return complete(); })) return;
    const int64_t micro = micro_sequences(config, comm.size());
    trainer_ = std::make_unique<Trainer>(config, comm, table_, *tokens_, micro);
    if (validation_) evaluations_.emplace(config, comm, *validation_, validation_digest_, micro, *trainer_);
    speed_.flops_per_token = flops_per_token(config.model);
    report_.made_of(micro, comm.size(), table_.size(), trainer_->averages().most_bytes());
    for (const std::string& warning : warnings(config, source, tokens_->size())) log_.line("warning: " + warning);
  }

  void train() {
    if (!trainer_) return say_complete();
    begin();
    describe();  // only now: a run that can't begin leaves nothing that would be taken for it
    stop_rule_.restart(comm_, metrics("evaluate"));
    trainer_->expect_losses_like(recent_losses());
    say_what_is_to_come();
    const auto saved_bytes = static_cast<double>(12 * table_.size() + trainer_->averages().most_bytes() * comm_.size());
    limit_.emplace(config_.run.wall_seconds, 1 + saved_bytes / slow_disk_rate);
    saver_.emplace(comm_, config_, *directory_, *trainer_, header_, *limit_, log_, [&] { parent_.reset(); });
    try {
      if (open_.evaluation) make_missing_evaluation();
      while (!over()) {
        make_step();
        if (evaluations_) evaluate();
        check_end();
        save_what_is_due();
        if (stop_ != no_stop && (open_.evaluation || !over())) stop();
      }
      saver_->finish();
    } catch (const Diverged& diverged) {
      finish_what_can_be_saved();
      record_end(divergence_line(diverged));
      throw;
    } catch (const MachineFault& fault) {
      finish_what_can_be_saved();
      record_end(fault_line(fault));
      throw;
    }
    if (stop_rule_.met()) say_stopped(trainer_->step());
    summarise();
  }

 private:
  /// work(), again where the system refuses what it reads.
  template <class Work>
  auto trying(Work&& work) -> decltype(work()) {
    return with_tries(config_.checkpoint.tries, [&](const std::string& error) { log_.line("tried again: " + error); }, work);
  }

  /// Fills header_ with the run's hashes and what its checkpoints say about their origin.
  void identify(const std::string& tokens_digest, const ConfigSource& source) {
    parent_.emplace(comm_, std::vector{config_.start.checkpoint, config_.start.weights});
    trying([&] { comm_.on_root([&] { start_digest_ = digest_of_start(config_, source); }); });
    start_digest_ = comm_.broadcast(start_digest_);
    const Version program = version();
    Json provenance = {{"program", "lawa " + program.number}, {"dirty", program.dirty}, {"tokens_digest", tokens_digest},
                       {"start_digest", start_digest_}};
    if (const std::string tokenizer = tokens_->tokenizer(); !tokenizer.empty()) provenance["tokenizer"] = tokenizer;
    header_ = {.kind = "weights", .step = 0, .trained_tokens = 0, .trajectory_hash = trajectory_hash(config_, tokens_digest, start_digest_),
               .config_hash = config_hash(config_), .git = program.git, .table = table_, .config = dump_config(config_),
               .provenance = provenance};
  }

  void say_stopped(int64_t step) {
    log_.line("stopped at step " + std::to_string(step) + ": the loss of " + config_.stop.model + " has not fallen for " +
              std::to_string(config_.stop.patience) + " evaluations (stop.patience)");
  }

  /// True when the run's last checkpoint is there and whole: that of the schedule's last step, or where the stop rule ended the run; and
  /// nothing is left to be evaluated. Collective.
  bool complete() {
    int64_t whole = 0;
    stop_rule_.restart(comm_, metrics("evaluate"));
    comm_.on_root([&] {
      const auto steps = recorded_steps(directory_->checkpoints());
      if (steps.empty() || steps.back() != (stop_rule_.met() ? last_trained_step() : config_.schedule.steps)) return;
      final_step_ = steps.back();
      const auto nothing_missing = if_readable([&] {  // where it is damaged, begin() reports it and makes it again
        const CommitRecord record = read_record(record_path(directory_->checkpoints(), steps.back()));
        verify_file(directory_->checkpoints(), record.weights);
        return !record.open.evaluation;
      });
      whole = nothing_missing.value_or(false) ? 1 : 0;
    });
    return comm_.broadcast(whole) == 1;
  }
  /// On rank 0. Collective.
  std::vector<Json> metrics(const std::string& kind) const {
    std::vector<Json> lines;
    comm_.on_root([&] { lines = directory_->metrics(kind); });
    return lines;
  }
  int64_t last_trained_step() const {
    int64_t step = 0;
    for (const char* kind : {"train", "skip"})
      if (const auto lines = directory_->metrics(kind); !lines.empty()) step = std::max(step, lines.back().value("step", int64_t{0}));
    return step;
  }

  /// What the folder knows of the run's last start: what it was evaluated on, where this one isn't, and how fast it was. Collective.
  void remember_last_start() {
    Json found = Json::object();
    comm_.on_root([&] {
      found = provenance_of(directory_->path());
      if (found.value("device", Json()) == device_name() && found.value("ranks", Json()) == comm_.size()) pace_ = Pace(rates_of_last_start(*directory_));
    });
    const std::string validation = validation_digest_.empty() ? comm_.broadcast(text_in(found, "validation_digest")) : validation_digest_;
    if (!validation.empty()) header_.provenance["validation_digest"] = validation;
  }

  /// The training losses before the next step, the newest of them, on every rank. Collective.
  std::vector<double> recent_losses() const {
    return from_root(comm_, [&] {
      Json losses = Json::array();
      const auto lines = directory_->metrics("train");
      for (size_t i = lines.size() - std::min(lines.size(), SpikeWatch::window); i < lines.size(); ++i)
        if (const Json loss = lines[i].value("loss", Json()); loss.is_number()) losses.push_back(loss);
      return losses;
    });
  }

  void describe() {
    const Version program = version();
    Json provenance = header_.provenance;
    provenance.update({{"git", program.git}, {"build", program.build}, {"trajectory_hash", header_.trajectory_hash},
                       {"config_hash", header_.config_hash}, {"ranks", comm_.size()}, {"device", device_name()}});
    comm_.on_root([&] { directory_->describe(header_.config, provenance); });
  }

  void say_complete() {
    if (stop_rule_.met()) say_stopped(final_step_);
    else log_.line(config_.run.directory + ": complete, " + std::to_string(final_step_) + " steps");
    report_.ends(final_step_, metrics("evaluate"));
  }

  /// Collective.
  void begin() {
    const Phase phase(start_phase);
    const Resumed resumed = begin_or_go_on(comm_, config_, *directory_, *trainer_, header_.git, log_);
    open_.evaluation = resumed.evaluation;
    if (resumed.from_checkpoint) parent_.reset();
  }

  /// Before the first step, which may take long. Collective.
  void say_what_is_to_come() {
    const Phase phase(start_phase);
    const int64_t sequences = config_.batch.global_sequences;
    const double flops = speed_.flops_per_token * static_cast<double>(sequences * config_.model.context);
    double seconds = 0;
    if (flops / comm_.size() > judged_step_flops) {
      const Precision precision = precision_of(config_);
      const double rate = comm_.sum(measured_gemm_rate(trainer_->exec(), precision, gemm_rate_rows, 1));
      seconds = flops / (rate * expected_share(table_.size(), precision) * split_efficiency(sequences, comm_.size()));
    }
    comm_.on_root([&] { report_.begins(trainer_->step(), run_output(config_, trainer_->step()), tokens_->size(), seconds); });
  }

  bool over() const { return trainer_->step() >= config_.schedule.steps || stop_rule_.met(); }

  /// The next step, timed and reported. Errors: Diverged.
  void make_step() {
    const Stopwatch clock;
    last_ = in_phase(training_phase, [&] {
      const StepResult step = trainer_->train_step(saver_->mine());
      trainer_->exec().fence();
      return step;
    });
    const double seconds = clock.seconds();
    limit_->made_step(seconds);
    stop_ = last_.stop;
    open_ = {};
    plain_is_finite_ = true;
    report(last_, seconds);
    saver_->advance(last_.saved);
  }

  /// The run's last line in metrics.jsonl, durable. Collective.
  void record_end(const Json& line) {
    comm_.on_root([&] {
      directory_->append(line);
      directory_->make_metrics_durable();
    });
  }

  void report(const StepResult& result, double seconds) {
    const auto tokens = static_cast<double>(config_.batch.global_sequences * config_.model.context);
    const double rate = tokens / seconds;
    speed_.tokens += tokens;
    speed_.seconds += seconds;
    directory_->append(step_line(result, trainer_->tokens(), seconds, rate));
    if (result.spike) directory_->append(spike_line(result));
    if (const auto slower = pace_.add(rate)) log_.line("warning: " + *slower);
    report_.made_step(result, tokens, seconds);
  }

  void summarise() {
    const double peak = comm_.max(peak_memory_bytes());
    const auto times = phases_.times();
    log_.line("done: " + config_.run.directory + ", at most " + bytes_text(peak) + " of memory a rank");
    if (comm_.max(speed_.seconds) >= measured_from_)
      speed_.gemm_flops_per_second = comm_.sum(measured_gemm_rate(trainer_->exec(), precision_of(config_)));
    for (const std::string& line : summary(speed_, times)) log_.line(line);
    report_.ends(trainer_->step(), metrics("evaluate"));
    Json line = {{"kind", "summary"}, {"step", trainer_->step()}};
    line.update(speed_fields(speed_));
    line.update({{"peak_memory_bytes", peak}, {"phase_seconds", phase_seconds(times)}});
    directory_->append(line);
  }

  /// What is due now; where the run is to stop, it is left to the next start, and the checkpoint of this step will say so.
  void evaluate() {
    if (stop_ != no_stop) {
      open_.evaluation = evaluations_->due();
      return;
    }
    std::vector<Json> lines;
    stop_ = evaluations_->make([&](const Json& line) {
      directory_->append(line);
      stop_rule_.add(line);
      if (lines.empty()) plain_is_finite_ = line.at("loss").is_number();  // the first is of the plain weights
      lines.push_back(line);
    });
    report_.evaluated(trainer_->step(), lines);
    open_.evaluation = stop_ != no_stop;
  }

  /// Errors: Diverged, where the run ends here and its last weights are good for nothing: no step comes that would show it. Collective.
  void check_end() {
    if (!over()) return;
    const Phase phase(evaluation_phase);
    const auto nonfinite = trainer_->next_step_is_not_finite();
    if (plain_is_finite_ && !nonfinite) return;
    throw Diverged({.step = trainer_->step(), .loss = std::numeric_limits<double>::quiet_NaN(), .grad_norm = last_.grad_norm, .nonfinite = nonfinite},
                   "the last weights' loss, or its gradients, aren't finite");
  }

  /// At the step of the checkpoint that the run goes on from. Errors: Stopped.
  void make_missing_evaluation() {
    if (evaluations_) evaluate();
    if (stop_ != no_stop) stop();
    check_end();
    directory_->make_metrics_durable();
    if (stop_rule_.met()) {  // this is the run's last checkpoint, and was saved as one that only a stop made
      open_ = {};
      return save_what_is_due();
    }
    comm_.on_root([&] {
      CommitRecord record = read_record(record_path(directory_->checkpoints(), trainer_->step()));
      record.open.evaluation = false;
      write_record(directory_->checkpoints(), record, config_.checkpoint.fsync);
    });
  }

  /// The checkpoint that is due, if one is; with what going on needs where the run is to stop. A request that comes meanwhile counts.
  void save_what_is_due() {
    const int64_t step = trainer_->step(), last = config_.schedule.steps;
    const bool state = stop_rule_.met() || saves_state(config_.checkpoint, step, last);
    const bool weights = state || saves_weights(config_.checkpoint, step, last);
    if (stop_ != no_stop && !state) {
      open_.temporary = weights ? OpenEnds::Temporary::state : OpenEnds::Temporary::checkpoint;
      save(true);
    } else if (weights) {
      save(state);
      stop_ = static_cast<StopReason>(comm_.max(static_cast<int64_t>(stop_request())));
      if (stop_ != no_stop && !state) return save_what_is_due();
    }
  }

  void finish_what_can_be_saved() {
    try {
      saver_->finish();
    } catch (const Error& error) {
      log_.line(std::string("a save failed: ") + error.what());
    }
  }

  /// Reports that the run ends here, its checkpoint being saved. Collective. Errors: Stopped, in any case.
  void stop() {
    saver_->finish();
    const double seconds = comm_.max(seconds_since_stop_request());
    directory_->append({{"kind", "stopped"}, {"step", trainer_->step()}, {"signal", name(stop_)}, {"seconds_to_durable", seconds}});
    directory_->make_metrics_durable();
    throw Stopped(stop_, " at step " + std::to_string(trainer_->step()) + ": saved; the same command goes on");
  }

  /// Errors: Diverged, before anything is written.
  void save(bool state) {
    if (!trainer_->is_finite()) throw Diverged(last_, "its update made weights or moments that aren't finite");
    saver_->save(state, open_);
  }

  const Communicator& comm_;
  const TrainConfig& config_;
  Log& log_;
  double measured_from_;
  ParameterTable table_;
  RunReport report_;
  std::optional<TokenSet> tokens_, validation_;
  std::string validation_digest_;     ///< "" where nothing is evaluated
  std::optional<ReadersLock> parent_;  ///< of the run that this one branches from, until it can do without
  std::string start_digest_;
  FlatHeader header_;
  std::unique_ptr<RunDirectory> directory_;
  std::unique_ptr<Trainer> trainer_;  ///< none when the run is complete
  std::optional<Evaluations> evaluations_;
  std::optional<TimeLimit> limit_;
  std::optional<Saver> saver_;
  StopRule stop_rule_;
  StopReason stop_ = no_stop;  ///< of the present step, on all ranks alike
  StepResult last_;            ///< of the last step
  OpenEnds open_;              ///< of the present step's checkpoint
  bool plain_is_finite_ = true;  ///< the present step's validation loss, where it has one
  int64_t final_step_ = 0;  ///< of a complete run, on rank 0
  Speed speed_;  ///< of all steps of this start
  Pace pace_;    ///< on rank 0
  PhaseClock phases_;
};

}  // namespace

void run_training(const Communicator& comm, const TrainConfig& config, Log& log, const ConfigSource& source, double measured_from) {
  std::optional<TrainingRun> run;
  const auto begin = [&] { run.emplace(comm, config, log, source, measured_from); };
  saying_when_stopped(begin, [] { return " before the first step; the same command goes on"; });
  run->train();
}

}  // namespace lawa
