#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numbers>

#include "average/averages_in_memory.hpp"
#include "average/steps_in_names.hpp"
#include "checkpoint/readers_lock.hpp"
#include "checkpoint/run_directory.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/log.hpp"
#include "core/stop_request.hpp"
#include "evaluate/evaluator.hpp"
#include "evaluate/weight_store.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/weights_format.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "programs/arguments.hpp"
#include "train/checked_tokens.hpp"
#include "train/evaluations.hpp"
#include "train/train_config.hpp"

namespace lawa {
namespace {

/// The keys of averages that are written nowhere.
struct NumbersConfig {
  AveragingOutput output;
};
template <class Visitor>
void visit(NumbersConfig& c, Visitor&& v) {
  visit_numbers(c.output, v);
}

struct EvaluationConfig {
  DataConfig data;
  int64_t memory_budget = int64_t{2} << 30;
  std::string sharding = "as_trained";
  AveragingConfig averaging;
  SourceOptions sources;
  NumbersConfig numbers;
};
template <class Visitor>
void visit(EvaluationConfig& c, Visitor&& v) {
  v("data", c.data, "");
  v("memory_budget", c.memory_budget, "bytes of activations a rank", at_least(1));
  v("sharding", c.sharding, "full: of a file's weights, a rank holds its part and a few blocks' at a time; averages that are in no file are held whole",
    one_of({"as_trained", "optimizer", "full"}));
  v("averaging", c.averaging, "");
  v("averaging", c.sources, "");
  v("averaging", c.numbers, "");
}

constexpr const char* usage =
    "lawa evaluate RUN|FOLDER|MODEL|FILE.h5 … [FILE.toml …] [key=value …]\n"
    "Prints one JSON line a file: loss [nats/token], perplexity, and bits_per_byte where meta.json beside the tokens says how long the text is.\n"
    "Keys of data that aren't given are those that the file was trained with; other validation files are taken whole. A MODEL is a folder as\n"
    "transformers saves it, GPT-2 or GPT-NeoX.\n\n"
    "lawa evaluate RUN|FOLDER|FILE.h5 … averaging.window=[2,5] averaging.stride=[200,400] …\n"
    "With any key of averaging, the averages that lawa average would write are evaluated, by ascending step, and not written.\n"
    "Each checkpoint is read once; each rank holds its part of those that are averaged at a time.";

/// The config that a weights file was trained with.
TrainConfig stored_config(const FlatHeader& header, const std::string& path) {
  ConfigSource source;
  source.add_toml(header.config, path + ":/config");
  TrainConfig config;
  apply(config, source);
  check(config.model, source);  // an imported file's has nothing else
  return config;
}

/// On what a file is evaluated. Without data.validation_sequences beside it, a data.validation that is given is taken whole.
DataConfig data_for(const TrainConfig& trained, const ConfigSource& keys) {
  EvaluationConfig config;
  config.data = trained.data;
  apply(config, keys);
  const auto *files = keys.find("data.validation"), *number = keys.find("data.validation_sequences");
  const auto same_file = [](const std::string& a, const std::string& b) { return a.substr(0, a.rfind(':')) == b.substr(0, b.rfind(':')); };
  const auto given_with = [&] { return number->place == keys.command_line || same_file(number->place, files->place); };
  if (files != nullptr && (number == nullptr || !given_with())) config.data.validation_sequences = 0;
  return config.data;
}

int64_t batch_sequences(const ModelConfig& model, Precision precision, int64_t memory_budget, int64_t share) {
  int64_t sequences = 1;
  while (sequences < share && LanguageModel::activation_bytes(model, sequences + 1, Purpose::evaluation, precision) <= memory_budget) ++sequences;
  return sequences;
}

/// Of the text behind the tokens, ends of documents being tokens without bytes; null where a meta.json doesn't say how long it is.
Json bits_per_byte(double loss, const TokenSet& tokens) {
  const auto bytes = tokens.text_bytes();
  if (!bytes || *bytes == 0) return nullptr;
  return loss / std::numbers::ln2 * static_cast<double>(tokens.size()) / static_cast<double>(*bytes);
}

/// One line of the result: what was evaluated, and on how much.
Json result_line(const Json& file, const FlatHeader& header, const TrainConfig& trained, const TokenSet& tokens, const std::string& digest,
                 const EvaluationResult& result, double seconds) {
  Json average = header.provenance.is_object() ? in_todays_words(header.provenance.value("average", Json())) : Json();
  if (average.is_null()) average = Json::object();
  return {{"file", file},
          {"step", header.step},
          {"loss", result.loss},
          {"perplexity", std::exp(result.loss)},
          {"bits_per_byte", bits_per_byte(result.loss, tokens)},
          {"validation_tokens", result.tokens},
          {"validation_digest", short_digest(digest)},
          {"trained_tokens", header.trained_tokens},
          {"scheme", average.value("scheme", "plain")},
          {"window", average.value("window", int64_t{1})},
          {"stride", average.value("stride", int64_t{0})},
          {"seed", trained.seed},
          {"trajectory_hash", header.trajectory_hash},
          {"config_hash", header.config_hash},
          {"git", header.git},
          {"seconds", seconds}};
}

/// Evaluates weights one after the other with one model, made anew when the shape changes. Every call is collective.
class WeightsEvaluator {
 public:
  WeightsEvaluator(const Communicator& comm, const EvaluationConfig& config, const ConfigSource& source)
      : comm_(comm), source_(source), memory_budget_(config.memory_budget), sharding_(config.sharding) {}
  WeightsEvaluator(const WeightsEvaluator&) = delete;  // the model fetches its weights here
  WeightsEvaluator& operator=(const WeightsEvaluator&) = delete;


  /// The weights of a file.
  Json evaluate(const std::filesystem::path& path) {
    const Stopwatch clock;
    PlacedFile file = open_on_root(comm_, [&] { return open_model(path); });
    if (format_of(path).by_tensor) file.header.step = step_of_model(path);
    const TrainConfig trained = stored_config(file.header, path.string());
    prepare(trained, path.string(), sharding_ == "full" || (sharding_ == "as_trained" && trained.sharding == "full"));
    check_same_layout(file.header.table, table_, path.string());
    check_same_tokenizer(file.header, path.string());
    const Vector<float> local = zeros<float>("lawa::local", layout_->local_size());
    comm_.together([&] { read_shard(file, *layout_, {"weights", local}); });
    const EvaluationResult result = loss_of(local);
    return result_line(path.string(), file.header, trained, *tokens_, digest_, result, clock.seconds());
  }

  /// An average that is in no file: "file" is null, and the digest that its file would have stands behind.
  Json evaluate(const MadeAverage& average) {
    const Stopwatch clock;
    const std::string name = "the average of step " + std::to_string(average.header.step);
    const TrainConfig trained = stored_config(average.header, name);
    prepare(trained, name, false);
    check_same_tokenizer(average.header, name);
    const Vector<float> local = zeros<float>("lawa::local", layout_->local_size());
    const HostVector<float> values = on_host(local);
    std::ranges::copy(average.values, values.data());
    copy(local, values);
    const EvaluationResult result = loss_of(local);
    Json line = result_line(nullptr, average.header, trained, *tokens_, digest_, result, clock.seconds());
    line["digest"] = average.digest;
    return line;
  }

 private:
  EvaluationResult loss_of(const Vector<float>& local) {
    weights_->set(exec_, local);
    EvaluationResult result = evaluator_->evaluate(exec_, *model_, windows_->shared());
    if (!std::isfinite(comm_.sum(squared_norm(exec_, local)))) result.loss = std::numeric_limits<double>::quiet_NaN();  // whatever it is on these tokens
    return result;
  }

  /// Errors: the file was trained on another tokenizer's ids, as both say.
  void check_same_tokenizer(const FlatHeader& header, const std::string& path) const {
    const std::string trained = header.provenance.is_object() ? text_in(header.provenance, "tokenizer") : "", here = tokens_->tokenizer();
    LAWA_CHECK(trained.empty() || here.empty() || trained == here, tokens_->key(), ": ", tokens_->files()[0].path.string(), " holds ids of the tokenizer ",
               here, ", as its meta.json says, and ", path, " was trained on those of ", trained, "; prepare the text with that one");
  }

  void prepare(const TrainConfig& trained, const std::string& path, bool share) {
    const DataConfig data = data_for(trained, source_);
    std::string shape = trained.precision + dump_config(trained.model) + concat(Json(data.validation).dump(), data.validation_sequences);
    share = share && comm_.size() > 1;
    shape += share ? "shared" : "whole";
    if (shape_ == shape) return;
    const bool given = source_.find("data.validation") != nullptr;
    const std::string key = given ? "data.validation" + source_.where("data.validation") : "data.validation (as " + path + " was trained)";
    LAWA_CHECK(!data.validation.empty(), "data.validation", source_.where("data.validation"), ": must name a token file; ", path,
               " was trained without one");
    comm_.together([&] {
      try {
        tokens_.emplace(data.validation, key, trained.model.vocabulary);
      } catch (const Error& error) {
        if (given) throw;
        throw Error(error.what() + std::string("; data.validation=FILE names another"), error.place);
      }
    });
    digest_ = checked_digest(comm_, *tokens_);
    table_ = model_parameters(trained.model, trained.optimizer.decay_embeddings);
    layout_.emplace(table_.size(), comm_.rank(), comm_.size(), share ? table_.group_ends() : std::vector<int64_t>());
    windows_.emplace(table_, *layout_, share);
    const int64_t sequences = data.validation_sequences > 0 ? data.validation_sequences : tokens_->consecutive_windows(trained.model.context);
    const int64_t batch = batch_sequences(trained.model, precision_of(trained), memory_budget_, (sequences + comm_.size() - 1) / comm_.size());
    LAWA_CHECK(multiplies_in(precision_of(trained)), path, ": was trained in ", trained.precision, ", which this build can't on this processor");
    model_.emplace(trained.model, batch, windows_->groups(), Purpose::evaluation, precision_of(trained),
                   share ? Fetch([this](const Exec& exec, int64_t group) { weights_->fetch(exec, group); }) : Fetch());
    weights_.emplace(comm_, *layout_, *windows_, *model_);
    evaluator_.emplace(*tokens_, sequences, batch, trained.model.context, comm_);
    shape_ = std::move(shape);
  }

  const Communicator& comm_;
  const ConfigSource& source_;
  int64_t memory_budget_;
  std::string sharding_;
  Exec exec_;
  std::string shape_;
  std::optional<TokenSet> tokens_;
  std::string digest_;  ///< theirs
  ParameterTable table_;
  std::optional<ShardLayout> layout_;
  std::optional<Windows> windows_;
  std::optional<LanguageModel> model_;
  std::optional<WeightStore> weights_;
  std::optional<Evaluator> evaluator_;
};

/// The lines as they come, on stdout, and how far the work is, on stderr.
class Report {
 public:
  Report(const Communicator& comm, int64_t total) : log_(comm.root()), root_(comm.root()), total_(total) {}

  Log& log() { return log_; }
  /// work(), which adds lines. Errors: Stopped, saying how many there are.
  template <class Work>
  void as_it_comes(Work&& work) {
    saying_when_stopped(work, [&] { return concat(": ", done_, " of ", total_, " are evaluated"); });
  }
  void add(const Json& line) {
    if (root_) std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
    const double loss = line.at("loss").get<double>();
    const Json& file = line.at("file");
    if (!std::isfinite(loss)) diverged_.push_back(file.is_string() ? file.get<std::string>() : concat("the average of step ", line.at("step")));
    log_.progress(++done_, total_, concat("loss ", std::to_string(loss)));
  }
  /// Errors, with the exit code of a run that has diverged: a loss wasn't finite.
  void check() const {
    if (diverged_.empty()) return;
    const std::string others = diverged_.size() > 1 ? concat(" (and ", diverged_.size() - 1, " more)") : "";
    throw Error(concat(diverged_[0], others, ": its weights, or their loss, aren't finite: the run that made them has diverged"),
                concat(__FILE__, ":", __LINE__), exit_diverged);
  }

 private:
  Log log_;
  bool root_;
  int64_t total_, done_ = 0;
  std::vector<std::string> diverged_{};  ///< whose loss isn't finite
};

void evaluate_averages(const Communicator& comm, const EvaluationConfig& config, const ConfigSource& keys,
                       const std::vector<std::filesystem::path>& checkpoints) {
  const AveragingOutput& output = config.numbers.output;
  Log log(comm.root());
  SourceOptions as_models = config.sources;
  as_models.as_models = true;
  const std::vector<Source> sources = open_sources(comm, checkpoints, as_models, false, [&](const std::string& text) { log.line(text); });
  const auto planned = planned_files(config.averaging, planned_averages(config.averaging, sources), sources, "", output.precision);
  WeightsEvaluator evaluator(comm, config, keys);
  Report report(comm, std::ssize(planned));
  report.as_it_comes([&] {
    for_each_average(comm, output, planned, sources, report.log(),
                     [&](const MadeAverage& average) { report.add(evaluator.evaluate(average)); });
  });
  report.check();
}

void evaluate_files(const Communicator& comm, const EvaluationConfig& config, const ConfigSource& keys,
                    const std::vector<std::filesystem::path>& files) {
  WeightsEvaluator evaluator(comm, config, keys);
  Report report(comm, std::ssize(files));
  report.as_it_comes([&] {
    for (const auto& file : files) report.add(evaluator.evaluate(file));
  });
  report.check();
}

}  // namespace

void evaluate_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) return print_keys(comm, usage, dump_config(EvaluationConfig(), true));
  const ConfigSource& keys = arguments.source;
  const auto config = load_config<EvaluationConfig>(keys);  // mistakes in keys, before anything is read
  check(config.averaging, keys);
  LAWA_CHECK(!arguments.places.empty(), "lawa evaluate: name weights files or folders of them");
  const ReadersLock reading(comm, arguments.places);
  const std::vector<std::filesystem::path> files = named_weights(comm, arguments.places);
  if (std::ranges::any_of(keys.entries(), [](const auto& entry) { return entry.first.starts_with("averaging."); }))
    return evaluate_averages(comm, config, keys, files);
  evaluate_files(comm, config, keys, files);
}

std::set<std::string> evaluate_keys() { return keys_of<EvaluationConfig>(); }

}  // namespace lawa
