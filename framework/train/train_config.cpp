#include "train/train_config.hpp"

#include <algorithm>

#include "core/hash.hpp"

namespace lawa {

void check(const TrainConfig& c, const ConfigSource& source) {
  check(c.model, source);
  check(c.schedule, source);
  LAWA_CHECK(!c.run.directory.empty(), "run.directory", source.where("run.directory"), ": must name a folder");
  LAWA_CHECK(!c.data.train.empty(), "data.train", source.where("data.train"), ": must name a token file");
  LAWA_CHECK(c.evaluate.steps == 0 || !c.data.validation.empty(), "data.validation", source.where("data.validation"),
             ": must name a token file, or evaluate.steps = 0");
  check(c.averages, source);
  std::string models = "plain";
  for (const OnlineAverageConfig& average : c.averages) models.append(" ").append(name(spec_of(average)));
  const bool known = c.stop.model == "plain" || std::ranges::count(c.averages, c.stop.model, [](const auto& a) { return name(spec_of(a)); }) > 0;
  LAWA_CHECK(known, "stop.model", source.where("stop.model"), ": ", c.stop.model, " is none of: ", models);
  LAWA_CHECK(c.stop.patience == 0 || c.evaluate.steps > 0, "stop.patience", source.where("stop.patience"), ": needs evaluations, and evaluate.steps",
             source.where("evaluate.steps"), " is 0");
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
