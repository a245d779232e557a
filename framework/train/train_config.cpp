#include "train/train_config.hpp"

#include "core/hash.hpp"

namespace lawa {

void check(const TrainConfig& c, const ConfigSource& source) {
  check(c.model, source);
  check(c.schedule, source);
  LAWA_CHECK(!c.run.directory.empty(), "run.directory", source.where("run.directory"), ": must name a folder");
  LAWA_CHECK(!c.data.train.empty(), "data.train", source.where("data.train"), ": must name a token file");
  LAWA_CHECK(c.evaluate.steps == 0 || !c.data.validation.empty(), "data.validation", source.where("data.validation"),
             ": must name a token file, or evaluate.steps = 0");
  LAWA_CHECK(c.start.checkpoint.empty() || c.start.weights.empty(), "start.checkpoint", source.where("start.checkpoint"),
             " and start.weights", source.where("start.weights"), ": only one of them");
}

std::string config_hash(const TrainConfig& config) { return hash128(dump_config(config)); }

std::string trajectory_hash(const TrainConfig& config, const std::string& tokens_digest, const std::string& start_digest) {
  TrainConfig kept;  // everything else at its default
  kept.seed = config.seed;
  kept.precision = config.precision;
  kept.model = config.model;
  kept.optimizer = config.optimizer;
  kept.schedule = config.schedule;
  kept.batch.global_sequences = config.batch.global_sequences;
  const std::string start = start_digest.empty() ? "" : (config.start.weights.empty() ? "checkpoint " : "weights ") + start_digest;
  return hash128(dump_config(kept) + "tokens " + tokens_digest + "\nstart " + start + "\n");
}

}  // namespace lawa
