#include "programs/plan.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iterator>

#include "checkpoint/flat_file.hpp"
#include "core/file_system_probe.hpp"
#include "data/token_file.hpp"
#include "data/token_paths.hpp"
#include "model/model_tensors.hpp"
#include "ops/gemm.hpp"
#include "ops/gemm_rate.hpp"
#include "programs/arguments.hpp"
#include "tensor/device.hpp"
#include "train/evaluation_steps.hpp"
#include "train/start.hpp"
#include "train/trainer.hpp"
#include "train/warnings.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr double least_efficiency = 0.95;     // of a split, without a warning
constexpr double used_libraries_bytes = 19e6;  // what products and files add to a program that has just begun: 17 to 24 MB, measured
constexpr double smallest_probed_disk = 1e6;   // free bytes: a disk with less tells nothing of its rate

/// What isn't said is planned as the batch scripts have it.
PlanConfig load(const ConfigSource& source) {
  PlanConfig config;
  apply(config, source);
  TrainConfig& train = config.train;
  if (train.data.train.empty()) train.data.train = {"tokens/train.bin"};
  if (train.data.validation.empty() && evaluates(train)) train.data.validation = {"tokens/val.bin"};
  if (train.run.directory.empty()) train.run.directory = "runs/planned";
  check(train, source);
  return config;
}

/// The step that a branch begins at; 0 for a run of its own, or where the file is gone. Errors: as training has them.
int64_t first_step(const TrainConfig& train, const ConfigSource& source) {
  digest_of_start(train, source);
  const std::string& start = train.start.checkpoint;
  return start.empty() || !std::filesystem::exists(start) ? 0 : read_flat_header(start, "weights").step;
}

/// The ranks that are planned for, and what their products reach. Collective.
PlannedMachine planned_ranks(const Communicator& comm, const PlanKeys& keys, Precision precision, int64_t parameters) {
  PlannedMachine machine;
  machine.program_bytes = comm.max(peak_memory_bytes()) + used_libraries_bytes;
  const int64_t here = comm.max(static_cast<int64_t>(comm.ranks_on_node()));
  machine.ranks = keys.ranks > 0 ? keys.ranks : comm.size();
  machine.ranks_per_node = keys.ranks_per_node > 0 ? keys.ranks_per_node : keys.ranks > 0 ? ::sysconf(_SC_NPROCESSORS_ONLN) : here;
  machine.ranks_per_node = std::min(machine.ranks_per_node, machine.ranks);
  machine.memory_bytes = keys.memory_bytes > 0 ? keys.memory_bytes : device_memory_bytes();

  machine.gemm_flops_per_second = keys.gemm_flops_per_second;
  if (keys.gemm_flops_per_second == 0) {
    LAWA_CHECK(multiplies_in(precision), "precision: this build on this processor can't multiply in bf16; plan.gemm_flops_per_second=RATE ",
               "plans for a machine that can");
    machine.measured_ranks = comm.size();
    machine.gemm_flops_per_second = comm.sum(measured_gemm_rate(Exec(), precision, gemm_rate_rows, 1)) / comm.size();
  }
  machine.share = keys.share > 0 ? keys.share : expected_share(parameters, precision);
  machine.share_from = "plan.share";
  if (keys.share == 0)
    machine.share_from += kernels_run_at_once ? concat("; measured for ", measured_share(parameters).model, " on two cores, tests/benchmark/training.jsonl")
                                              : std::string("; an assumption");
  return machine;
}

/// What is free where the run will lie, and how fast it can be written. On one rank. Errors name run.directory.
void look_at_disk(const std::string& directory, const PlanKeys& keys, PlannedMachine& machine) {
  try {
    machine.free_bytes = keys.free_bytes > 0 ? keys.free_bytes : static_cast<double>(free_bytes(directory));
    machine.write_measured = keys.write_bytes_per_second == 0;
    machine.write_bytes_per_second = keys.write_bytes_per_second;
    if (machine.write_measured && static_cast<double>(free_bytes(directory)) >= smallest_probed_disk)
      machine.write_bytes_per_second = probe_file_system(nearest_folder(directory)).write_bytes_per_second;
  } catch (const Error& error) {
    fail(__FILE__, __LINE__, "run.directory: ", error.what(), "; plan.free_bytes and plan.write_bytes_per_second plan for another disk");
  }
}

int64_t bytes_below(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code error;
  for (auto entry = fs::recursive_directory_iterator(folder, error); !error && entry != fs::recursive_directory_iterator(); entry.increment(error))
    if (std::error_code vanished; entry->is_regular_file(vanished)) bytes += static_cast<int64_t>(std::max<uintmax_t>(0, entry->file_size(vanished)));
  return bytes;
}

/// The command that makes a token file.
std::string preparation(const std::string& file, const ModelConfig& model) {
  const fs::path folder = fs::path(file).parent_path();
  const std::string output = " --output " + (folder.empty() ? std::string(".") : folder.string());
  const int64_t vocabulary = model.vocabulary;
  if (vocabulary >= 50257 && is_gpt_neox(model)) return "python3 data/prepare.py TEXTS --tokenizer pythia/tokenizer.json" + output;
  if (vocabulary >= 50257) return "python3 data/prepare.py --source openwebtext --tokenizer gpt2" + output;
  return concat("python3 data/prepare.py TEXTS --tokenizer ", vocabulary > 256 ? concat("bpe:", vocabulary) : "bytes", output);
}

/// The files of `key` where all are there; else nothing, and a line that says how to make them.
std::optional<TokenSet> token_set(const std::vector<std::string>& files, const std::string& key, const ModelConfig& model, Plan& plan) {
  const auto absent = std::ranges::find_if(files, names_nothing);
  if (!files.empty() && absent == files.end()) return TokenSet(files, key, model.vocabulary);
  if (files.empty()) return std::nullopt;
  const std::string command = preparation(*absent, model);
  const bool said = std::ranges::any_of(plan.missing, [&](const std::string& line) { return line.ends_with(command); });
  plan.missing.push_back(concat(key, ": there is no ", *absent, said ? "; the same command makes it" : "; make it with  " + command));
  return std::nullopt;
}

void look_at_data(const TrainConfig& config, const ConfigSource& source, Plan& plan) {
  const int64_t context = config.model.context, asked = config.data.validation_sequences;
  if (const auto tokens = token_set(config.data.train, "data.train" + source.where("data.train"), config.model, plan)) {
    tokens->windows(context);  // an error where not one sequence is there
    plan.data_tokens = tokens->size();
  }
  if (plan.output.evaluations == 0) return;
  const auto held_out = token_set(config.data.validation, "data.validation" + source.where("data.validation"), config.model, plan);
  if (asked > 0) plan.validation_tokens = asked * context;
  else if (held_out) plan.validation_tokens = held_out->consecutive_windows(context) * context;
  else plan.warnings.push_back("how long the evaluations take isn't known: data.validation isn't there, and data.validation_sequences is 0");
}

void look_at_the_split(Plan& plan) {
  const int64_t sequences = plan.config->batch.global_sequences, ranks = plan.machine.ranks, most = (sequences + ranks - 1) / ranks;
  if (plan.efficiency() >= least_efficiency) return;
  plan.warnings.push_back(concat("a step uses ", std::lround(100 * plan.efficiency()), " % of the ranks' time: of batch.global_sequences = ", sequences,
                                 " the first of ", ranks, " ranks has ", most, "; ", (sequences + most - 1) / most,
                                 " ranks would be as fast, and a multiple of ", ranks, " sequences would use them all"));
}

}  // namespace

void plan_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help)
    return print_keys(comm, "lawa plan [--json] FILE.toml … [key=value …]\n"
                            "What the run that `lawa train` would make of the same words takes: tokens, memory, disk, hours. It trains nothing,\n"
                            "and ends with 1 where the run would not fit the disk or the memory. plan.* are of another machine.",
                      dump_config(PlanConfig(), true));
  LAWA_CHECK(arguments.places.empty(), "lawa plan takes .toml files and key=value words, not ", arguments.places[0]);
  const PlanConfig config = load(arguments.source);
  const TrainConfig& train = config.train;
  const int64_t parameters = model_parameters(train.model).size();
  PlannedMachine machine = planned_ranks(comm, config.plan, precision_of(train), parameters);
  comm.on_root([&] {
    Plan plan;
    plan.config = &train;
    plan.parameters = parameters;
    plan.first_step = first_step(train, arguments.source);
    const auto ranks = static_cast<int>(machine.ranks);
    plan.micro_sequences = micro_sequences(train, ranks);
    plan.output = run_output(train, plan.first_step);
    plan.memory = rank_memory(train, ranks, plan.output.most_snapshots);
    look_at_data(train, arguments.source, plan);
    look_at_disk(train.run.directory, config.plan, machine);
    plan.present_bytes = bytes_below(train.run.directory);
    plan.machine = machine;
    std::ranges::copy(warnings(train, arguments.source, plan.data_tokens), std::back_inserter(plan.warnings));
    look_at_the_split(plan);
    const std::string text = arguments.option ? to_json(plan).dump() + "\n" : page(plan);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    std::string problems;
    for (const std::string& problem : plan.problems()) problems += (problems.empty() ? "" : "; and ") + problem;
    LAWA_CHECK(problems.empty(), problems);
  });
}

std::set<std::string> plan_keys() { return keys_of<PlanConfig>(); }

}  // namespace lawa
