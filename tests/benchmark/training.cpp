// How fast a training step is, without any files but random tokens:
//
//   mpirun -np 2 build/cpu/bin/benchmark_training [SECONDS] [FILE.toml …] [key=value …]
//
// Each FILE.toml (default: the quickstart's model and GPT-2 small) is trained for SECONDS (default 30) after two steps that don't
// count. One JSON line each on stdout: tokens/s of the median step, its share of the matrix-product rate that was measured on all
// ranks just before, and the peak memory of the largest rank so far (so name the smaller model first). training.py runs this beside
// PyTorch.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "comm/program.hpp"
#include "core/files.hpp"
#include "core/philox.hpp"
#include "core/timer.hpp"
#include "core/version.hpp"
#include "ops/gemm_rate.hpp"
#include "tensor/device.hpp"
#include "train/summary.hpp"
#include "train/trainer.hpp"

namespace lawa {
namespace {

struct Options {
  double seconds = 30;
  std::vector<std::string> files, overrides;
};

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (const std::string& word : words) {
    if (word.find('=') != std::string::npos) options.overrides.push_back(word);
    else if (word.ends_with(".toml")) options.files.push_back(word);
    else options.seconds = std::stod(word);
  }
  if (options.files.empty()) options.files = {"experiments/models/quickstart.toml", "experiments/models/small.toml"};
  return options;
}

/// A file of random tokens that any model of 256 tokens or more can read.
std::string write_tokens(const Communicator& comm) {
  std::string path;
  comm.on_root([&] {
    path = (std::filesystem::temp_directory_path() / "lawa_benchmark_tokens.bin").string();
    std::string bytes;
    for (uint64_t i = 0; i < 1 << 20; ++i) bytes += {static_cast<char>(random_bits(1, RandomStream::test, i)), '\0'};
    write_file(path, bytes);
  });
  return comm.broadcast(path);
}

/// The file's model with one micro-batch a rank and step, of about 1,024 tokens.
TrainConfig configure(const std::string& file, const Options& options, const std::string& tokens, int ranks) {
  ConfigSource source;
  source.add_toml(read_file(file), file);
  TrainConfig config;
  apply(config, source);
  config.batch.micro_sequences = std::max<int64_t>(1, 1024 / config.model.context);
  config.batch.global_sequences = ranks * config.batch.micro_sequences;
  config.data.train = {tokens};
  config.run.directory = "none";
  config.evaluate.steps = 0;
  ConfigSource overrides;
  for (const std::string& word : options.overrides) overrides.add_override(word);
  apply(config, overrides);
  return config;
}

/// Seconds of the median step, over all ranks.
double median_step(const Communicator& comm, Trainer& trainer, double seconds) {
  std::vector<double> steps;
  for (const Stopwatch all; comm.max(all.seconds()) < seconds || steps.size() < 5;) {
    const Stopwatch clock;
    in_phase(training_phase, [&] {
      trainer.train_step();
      trainer.exec().fence();
    });
    steps.push_back(comm.max(clock.seconds()));
  }
  std::ranges::sort(steps);
  return steps[steps.size() / 2];
}

void run_case(const Communicator& comm, const std::string& file, const Options& options, const std::string& tokens_path) {
  const TrainConfig config = configure(file, options, tokens_path, comm.size());
  const TokenSet tokens(config.data.train, "data.train");
  const ParameterTable table = model_parameters(config.model, config.optimizer.decay_embeddings);
  Trainer trainer(config, comm, table, tokens, micro_sequences(config, comm.size()));
  trainer.start();
  comm.barrier();
  const double gemm_rate = comm.sum(measured_gemm_rate(Exec(), precision_of(config), gemm_rate_rows, std::min(2.0, options.seconds)));
  for (int warm_up = 0; warm_up < 2; ++warm_up) trainer.train_step();
  const PhaseClock clock;
  const double step = median_step(comm, trainer, options.seconds);
  const auto step_tokens = static_cast<double>(config.batch.global_sequences * config.model.context);
  const double rate = step_tokens / step, memory = comm.max(peak_memory_bytes());
  const Json line = {{"model", std::filesystem::path(file).stem().string()}, {"precision", config.precision},
                     {"recompute", config.batch.recompute}, {"ranks", comm.size()}, {"threads", Exec().concurrency()}, {"parameters", table.size()},
                     {"step_tokens", static_cast<int64_t>(step_tokens)}, {"tokens_per_second", rate}, {"gemm_flops_per_second", gemm_rate},
                     {"gemm_share", rate * flops_per_token(config.model) / gemm_rate},
                     {"peak_memory_bytes_per_rank", memory}, {"device", device_name()}, {"git", version().git},
                     {"build", version().build}, {"phase_seconds", phase_seconds(clock.times())}};
  if (comm.root()) std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace lawa

int main(int argc, char** argv) {
  return lawa::run_program(argc, argv, [](lawa::Communicator& comm, const std::vector<std::string>& words) {
    const lawa::Options options = lawa::parse(words);
    const std::string tokens = lawa::write_tokens(comm);
    for (const std::string& file : options.files) lawa::run_case(comm, file, options, tokens);
    comm.on_root([&] { std::filesystem::remove(tokens); });
  });
}
