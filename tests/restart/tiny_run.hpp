// A run that takes no time: twenty steps of a tiny model, with checkpoints that a test can copy, cut and damage.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "core/json.hpp"
#include "train/train_config.hpp"

namespace lawa::test {

/// The run in folder/run, on the token files in folder: 20 steps, evaluations every 10, checkpoints with their states every 5,
/// all of them kept, and averages of every scheme.
TrainConfig tiny_run(const std::filesystem::path& folder);
std::filesystem::path checkpoints_of(const TrainConfig& config);

/// Writes the token files into a new folder and runs tiny_run(folder) to its end. Collective. Returns its config.
TrainConfig finished_run(const Communicator& comm, const std::filesystem::path& folder);
/// run_training without output; products are measured after a long start, as a rule. Collective.
void run(const Communicator& comm, const TrainConfig& config, double measured_from = 30);

/// Copies a tiny run's folder, token files and all. Collective. Returns tiny_run(copy).
TrainConfig copy_run(const Communicator& comm, const std::filesystem::path& folder, const std::filesystem::path& copy);
/// What a kill leaves some steps after checkpoint `step`: nothing of later checkpoints, but later lines of metrics.jsonl, and the
/// last of them torn. Collective.
void cut_back(const Communicator& comm, const TrainConfig& config, int64_t step);

/// The lines of metrics.jsonl of one kind.
std::vector<Json> metrics(const TrainConfig& config, const std::string& kind);
/// One number of each of them.
std::vector<double> metrics(const TrainConfig& config, const std::string& kind, const std::string& number);
/// The digest of the weights of a checkpoint.
std::string weights_digest(const TrainConfig& config, int64_t step);

/// Expects two runs to have made the same numbers, bit for bit, and each line once.
void expect_same_run(const TrainConfig& actual, const TrainConfig& expected);

}  // namespace lawa::test
