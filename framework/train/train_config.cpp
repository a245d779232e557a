#include "train/train_config.hpp"

#include <map>

#include "checkpoint/shard_file.hpp"
#include "core/hash.hpp"
#include "model/model_tensors.hpp"
#include "train/evaluation_steps.hpp"

namespace lawa {

namespace {

void check_stop_rule(const TrainConfig& c, const ConfigSource& source) {
  std::map<std::string, EvaluationSteps> models{{"plain", evaluation_steps(c.evaluate)}};
  std::string names = "plain";
  for (const OnlineAverageConfig& average : c.averages)
    for (const AverageSpec& model : models_of(average)) {
      models.emplace(name(model), evaluation_steps(average, c.evaluate));
      names.append(" ").append(name(model));
    }
  const auto model = models.find(c.stop.model);
  LAWA_CHECK(model != models.end(), "stop.model", source.where("stop.model"), ": ", c.stop.model, " is none of: ", names);
  LAWA_CHECK(c.stop.patience == 0 || !model->second.empty(), "stop.patience", source.where("stop.patience"), ": needs evaluations of ",
             c.stop.model, ", and evaluate.steps", source.where("evaluate.steps"), " is 0");
}

}  // namespace

void check(const TrainConfig& c, const ConfigSource& source) {
  check(c.model, source);
  check(c.schedule, source);
  LAWA_CHECK(!c.run.directory.empty(), "run.directory", source.where("run.directory"), ": must name a folder");
  LAWA_CHECK(!c.data.train.empty(), "data.train", source.where("data.train"), ": must name a token file");
  LAWA_CHECK(!evaluates(c) || !c.data.validation.empty(), "data.validation", source.where("data.validation"),
             ": must name a token file, or evaluate.steps = 0");
  check(c.averages, model_parameters(c.model), source);
  check_stop_rule(c, source);
  for (const std::string& hint : c.checkpoint.hints) hint_of(hint, "checkpoint.hints" + source.where("checkpoint.hints"));
  LAWA_CHECK(c.checkpoint.hints.empty() || c.checkpoint.writer == "hdf5", "checkpoint.hints", source.where("checkpoint.hints"),
             ": are for checkpoint.writer = \"hdf5\", and that is ", c.checkpoint.writer);
  LAWA_CHECK(c.checkpoint.keep_weights_steps == 0 || c.checkpoint.keep_weights > 0, "checkpoint.keep_weights_steps",
             source.where("checkpoint.keep_weights_steps"), ": ", c.checkpoint.keep_weights_steps, " needs checkpoint.keep_weights, and that is 0: all stay");
  LAWA_CHECK(c.start.checkpoint.empty() || c.start.weights.empty(), "start.checkpoint", source.where("start.checkpoint"),
             " and start.weights", source.where("start.weights"), ": only one of them");
}

std::string config_hash(const TrainConfig& config) { return hash128(dump_config(config)); }

std::string trajectory_hash(const TrainConfig& config, const std::string& tokens_digest, const std::string& start_digest) {
  const std::string start = start_digest.empty() ? "" : (config.start.weights.empty() ? "checkpoint " : "weights ") + start_digest;
  return hash128(concat("seed ", config.seed, "\nprecision ", config.precision, "\nglobal_sequences ", config.batch.global_sequences, "\n",
                        dump_config(config.model), dump_config(config.optimizer), dump_config(config.schedule), "tokens ", tokens_digest,
                        "\nstart ", start, "\n"));
}

}  // namespace lawa
