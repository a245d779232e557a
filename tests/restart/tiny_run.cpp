#include "restart/tiny_run.hpp"

#include <sstream>

#include "checkpoint/flat_file.hpp"
#include "core/files.hpp"
#include "support/near.hpp"
#include "support/random_tokens.hpp"
#include "support/tiny_files.hpp"
#include "support/tiny_models.hpp"
#include "train/training_run.hpp"

namespace lawa::test {
namespace fs = std::filesystem;

TrainConfig tiny_run(const fs::path& folder) {
  TrainConfig c;
  c.seed = 7;
  c.model = tiny_model();
  c.data.train = {(folder / "train.bin").string()};
  c.data.validation = {(folder / "validation.bin").string()};
  c.batch.global_sequences = 5;
  c.batch.micro_sequences = 2;
  c.schedule = {.kind = "cosine", .steps = 20, .warmup_steps = 3, .decay_steps = 0, .peak_lr = 3e-3, .final_lr = 3e-4};
  c.evaluate.steps = 10;
  c.checkpoint = {.steps = 5, .state_steps = 5, .keep_states = 4, .fsync = false};
  c.run.directory = (folder / "run").string();
  c.averages = {{.scheme = "lawa", .window = 3, .stride = 5, .save = true},
                {.scheme = "lawa", .window = 2, .stride = 3},
                {.scheme = "ema", .beta = 0.9, .warmup = true, .save = true},
                {.scheme = "swa", .stride = 2, .first = 4, .save = true},
                {.scheme = "ema", .half_life = 0.2, .blend = {0.5, 1}, .exclude = {"wte"}, .evaluate_steps = 7, .evaluate_at = {12}},
                {.scheme = "ema", .half_life = 0.2, .save = true, .blend = {1.3}}};
  return c;
}

fs::path checkpoints_of(const TrainConfig& config) { return fs::path(config.run.directory) / "checkpoints"; }

TrainConfig finished_run(const Communicator& comm, const fs::path& folder) {
  comm.on_root([&] { fs::create_directories(folder); });
  const TrainConfig config = tiny_run(folder);
  write_random_tokens(comm, config.data.train[0], 999, config.model.vocabulary, 1);
  write_random_tokens(comm, config.data.validation[0], 99, config.model.vocabulary, 2);
  run(comm, config);
  return config;
}

void run(const Communicator& comm, const TrainConfig& config, double measured_from) {
  Log quiet(false);
  run_training(comm, config, quiet, {}, measured_from);
  comm.barrier();  // rank 0's last lines are in their files now
}

TrainConfig copy_run(const Communicator& comm, const fs::path& folder, const fs::path& copy) {
  comm.on_root([&] { fs::copy(folder, copy, fs::copy_options::recursive); });
  return tiny_run(copy);
}

void cut_back(const Communicator& comm, const TrainConfig& config, int64_t step) {
  comm.barrier();  // another rank may still be reading what goes now
  comm.on_root([&] {
    const fs::path folder = checkpoints_of(config);
    for (const int64_t later : recorded_steps(folder)) {
      if (later <= step) continue;
      for (const auto& path_of : {record_path, weights_path, state_path}) fs::remove(path_of(folder, later));
    }
    std::ofstream(fs::path(config.run.directory) / "metrics.jsonl", std::ios::app) << R"({"kind":"train","step":2)";
  });
}

std::vector<Json> metrics(const TrainConfig& config, const std::string& kind) {
  std::istringstream text(read_file(fs::path(config.run.directory) / "metrics.jsonl"));
  std::vector<Json> found;
  for (std::string line; std::getline(text, line);)
    if (const Json entry = Json::parse(line); entry.at("kind") == kind) found.push_back(entry);
  return found;
}

std::vector<double> metrics(const TrainConfig& config, const std::string& kind, const std::string& number) {
  std::vector<double> found;
  for (const Json& entry : metrics(config, kind)) found.push_back(entry.at(number).get<double>());
  return found;
}

std::string weights_digest(const TrainConfig& config, int64_t step) {
  return test::digest_of_weights(weights_path(checkpoints_of(config), step));
}

void expect_same_run(const TrainConfig& actual, const TrainConfig& expected) {
  const auto expect_same = [&](const char* kind, const char* number) {
    EXPECT_TRUE(same_bits(metrics(actual, kind, number), metrics(expected, kind, number))) << number << " of kind " << kind;
  };
  for (const char* number : {"step", "loss", "lr", "grad_norm", "trained_tokens"}) expect_same("train", number);
  for (const char* number : {"step", "loss", "trained_tokens"}) expect_same("evaluate", number);
  expect_same("checkpoint", "step");
  const fs::path folder = checkpoints_of(actual);
  EXPECT_EQ(recorded_steps(folder), recorded_steps(checkpoints_of(expected)));
  for (const int64_t step : recorded_steps(folder)) {
    EXPECT_NO_THROW(verify_file(folder, read_record(record_path(folder, step)).weights));
    EXPECT_EQ(weights_digest(actual, step), weights_digest(expected, step)) << "weights of step " << step;
  }
  for (const OnlineAverageConfig& average : expected.averages) {
    if (!average.save) continue;
    const auto folder_in = [&](const TrainConfig& c) { return fs::path(c.run.directory) / "averages" / lawa::folder(spec_of(average)); };
    for (const int64_t step : recorded_steps(folder_in(expected))) {
      const auto digest = [&](const TrainConfig& c) { return test::digest_of_weights(weights_path(folder_in(c), step)); };
      EXPECT_EQ(digest(actual), digest(expected)) << name(spec_of(average)) << " of step " << step;
    }
  }
}

}  // namespace lawa::test
