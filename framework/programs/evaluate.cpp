#include <cstdio>

#include "average/averager.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/log.hpp"
#include "evaluate/evaluator.hpp"
#include "evaluate/gather_weights.hpp"
#include "ops/gemm.hpp"
#include "programs/arguments.hpp"
#include "train/training_run.hpp"

namespace lawa {
namespace {

struct EvaluationConfig {
  DataConfig data;
  int64_t memory_budget = int64_t{2} << 30;
};
template <class Visitor>
void visit(EvaluationConfig& c, Visitor&& v) {
  v("data", c.data, "");
  v("memory_budget", c.memory_budget, "bytes of activations a rank", at_least(1));
}

/// The config that a weights file was trained with.
TrainConfig stored_config(const FlatHeader& header, const std::string& path) {
  ConfigSource source;
  source.add_toml(header.config, path + ":/config");
  return load_config<TrainConfig>(source);
}

int64_t batch_sequences(const Gpt2Config& model, Precision precision, int64_t memory_budget, int64_t share) {
  int64_t sequences = 1;
  while (sequences < share && LanguageModel::activation_bytes(model, sequences + 1, Purpose::evaluation, precision) <= memory_budget) ++sequences;
  return sequences;
}

/// One line of the result: what was evaluated, and on how much.
Json result_line(const std::string& file, const FlatHeader& header, const TrainConfig& trained, const EvaluationResult& result,
                 double seconds) {
  Json average = described_weights(header);
  if (average.is_null()) average = Json::object();
  return {{"file", file},
          {"step", header.step},
          {"loss", result.loss},
          {"validation_tokens", result.tokens},
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

/// Evaluates files one after the other with one model, made anew when the shape changes.
class FileEvaluator {
 public:
  FileEvaluator(const Communicator& comm, const ConfigSource& source) : comm_(comm), source_(source) {}

  Json evaluate(const std::filesystem::path& path) {
    const Stopwatch clock;
    const FlatHeader header = weights_info(comm_, path);
    const TrainConfig trained = stored_config(header, path.string());
    prepare(trained, path.string());
    const Vector<float> local = zeros<float>("lawa::local", layout_->local_size());
    read_shards(comm_, path, "weights", table_, *layout_, {{"weights", local}});
    gather_weights(exec_, comm_, *layout_, local, *model_);
    return result_line(path.string(), header, trained, evaluator_->evaluate(exec_, *model_), clock.seconds());
  }

 private:
  void prepare(const TrainConfig& trained, const std::string& path) {
    if (shape_ == trained.precision + dump_config(trained.model) + dump_config(trained.data)) return;
    EvaluationConfig config;
    config.data = trained.data;
    apply(config, source_);
    LAWA_CHECK(!config.data.validation.empty(), "data.validation", source_.where("data.validation"),
               ": must name a token file; ", path, " was trained without one");
    comm_.together([&] { tokens_.emplace(config.data.validation, "data.validation" + source_.where("data.validation")); });
    checked_digest(comm_, *tokens_, trained.model.vocabulary);
    table_ = gpt2_parameters(trained.model, trained.optimizer.decay_embeddings);
    layout_.emplace(table_.size(), comm_.rank(), comm_.size());
    const int64_t sequences = config.data.validation_sequences > 0 ? config.data.validation_sequences
                                                                   : tokens_->consecutive_windows(trained.model.context);
    const int64_t batch = batch_sequences(trained.model, precision_of(trained), config.memory_budget, (sequences + comm_.size() - 1) / comm_.size());
    LAWA_CHECK(multiplies_in(precision_of(trained)), path, ": was trained in ", trained.precision, ", which this build can't on this processor");
    model_.emplace(trained.model, batch, layout_->padded_size(), Purpose::evaluation, precision_of(trained));
    evaluator_.emplace(*tokens_, sequences, batch, trained.model.context, comm_);
    shape_ = trained.precision + dump_config(trained.model) + dump_config(trained.data);
  }

  const Communicator& comm_;
  const ConfigSource& source_;
  Exec exec_;
  std::string shape_;
  std::optional<TokenSet> tokens_;
  ParameterTable table_;
  std::optional<ShardLayout> layout_;
  std::optional<LanguageModel> model_;
  std::optional<Evaluator> evaluator_;
};

}  // namespace

void evaluate_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help)
    return print_keys(comm, "lawa evaluate FILE.h5|FOLDER … [FILE.toml …] [key=value …]\nPrints one JSON line a file. Keys that aren't given are those that the file was trained with.",
                      dump_config(EvaluationConfig(), true));
  load_config<EvaluationConfig>(arguments.source);  // unknown keys and wrong types, before anything is read
  LAWA_CHECK(!arguments.places.empty(), "lawa evaluate: name weights files or folders of them");
  std::vector<std::filesystem::path> files;
  comm.together([&] { files = weights_files(arguments.places); });
  FileEvaluator evaluator(comm, arguments.source);
  Log log(comm.root());
  for (size_t i = 0; i < files.size(); ++i) {
    const Json line = evaluator.evaluate(files[i]);
    if (comm.root()) std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
    log.progress(static_cast<int64_t>(i + 1), std::ssize(files), "loss " + std::to_string(line.at("loss").get<double>()));
  }
}

}  // namespace lawa
