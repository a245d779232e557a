// What `lawa plan` finds out of a run and of the machine, as a page and as JSON.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "train/run_plan.hpp"

namespace lawa {

/// What would be measured or asked for here, of another machine. 0: of this one.
struct PlanKeys {
  int64_t ranks = 0, ranks_per_node = 0;
  double gemm_flops_per_second = 0, share = 0, write_bytes_per_second = 0, free_bytes = 0, memory_bytes = 0;
};
template <class Visitor>
void visit(PlanKeys& c, Visitor&& v) {
  v("ranks", c.ranks, "plan for so many; 0 = those that run this", between(0, 1 << 30));
  v("ranks_per_node", c.ranks_per_node, "of them on a node; 0 = as they run here, with plan.ranks at most one a core", between(0, 1 << 20));
  v("gemm_flops_per_second", c.gemm_flops_per_second, "of a rank's matrix products; 0 = measured here, for a second", at_least(0));
  v("share", c.share, "of that rate which training reaches, between 0 and 1; 0 = as measured for a model of such a size", between(0, 1));
  v("write_bytes_per_second", c.write_bytes_per_second, "of the disk; 0 = measured where run.directory will lie, with a file that is removed",
    at_least(0));
  v("free_bytes", c.free_bytes, "of the disk; 0 = what is free where run.directory will lie", at_least(0));
  v("memory_bytes", c.memory_bytes, "of a node, or of a GPU; 0 = of this one", at_least(0));
}

/// What `lawa train` takes, and plan.*.
struct PlanConfig {
  TrainConfig train;
  PlanKeys plan;
};
template <class Visitor>
void visit(PlanConfig& c, Visitor&& v) {
  visit(c.train, v);
  v("plan", c.plan, "");
}

/// The ranks, and what they and their node are able to.
struct PlannedMachine {
  int64_t ranks = 1, ranks_per_node = 1;
  int64_t measured_ranks = 0;      ///< that the rate of products was measured on; 0: it was given
  double gemm_flops_per_second = 0, share = 0;  ///< a rank's
  std::string share_from;          ///< in words
  bool write_measured = true;
  double write_bytes_per_second = 0;  ///< 0: the disk is too full to be measured
  double free_bytes = 0, memory_bytes = 0, program_bytes = 0;
};

struct Plan {
  const TrainConfig* config = nullptr;
  int64_t parameters = 0, first_step = 0, micro_sequences = 0;
  std::optional<int64_t> data_tokens{}, validation_tokens{};  ///< none: the files aren't there
  RunOutput output;
  RankMemory memory;
  PlannedMachine machine;
  int64_t present_bytes = 0;  ///< in run.directory already
  std::vector<std::string> missing{}, warnings{};

  int64_t tokens() const { return (config->schedule.steps - first_step) * config->batch.global_sequences * config->model.context; }
  double training_flops() const;
  double evaluation_flops() const;
  /// How much of the ranks' time a step and an evaluation use.
  double efficiency() const { return split_efficiency(config->batch.global_sequences, machine.ranks); }
  double evaluation_efficiency() const;
  double training_seconds() const;
  double evaluation_seconds() const;
  double seconds_to_write(int64_t bytes) const;  ///< 0 where the disk's rate isn't known
  double rank_bytes() const { return static_cast<double>(memory.total()) + machine.program_bytes; }
  /// What has to fit into machine.memory_bytes: of all ranks of a node, or of one on a device of its own.
  double shared_bytes() const;
  /// What would stop the run, each with its remedy. Nothing: it can begin.
  std::vector<std::string> problems() const;
};

Json to_json(const Plan& plan);
std::string page(const Plan& plan);

}  // namespace lawa
