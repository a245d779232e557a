#include <cmath>
#include <cstdio>

#include "core/log.hpp"
#include "model/model_config.hpp"
#include "programs/plan.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

// ---- arithmetic ------------------------------------------------------------------------------------------------------------

namespace {

constexpr double forward_part = 1.0 / 3;  // of a training step's operations

double real(int64_t value) { return static_cast<double>(value); }

/// What all ranks reach together, FLOP/s.
double pace(const PlannedMachine& machine) { return real(machine.ranks) * machine.gemm_flops_per_second * machine.share; }

}  // namespace

double Plan::training_flops() const { return flops_per_token(config->model) * real(tokens()); }
double Plan::evaluation_flops() const {
  return flops_per_token(config->model) * forward_part * real(validation_tokens.value_or(0)) * real(output.evaluations);
}
double Plan::evaluation_efficiency() const {
  return validation_tokens ? split_efficiency(*validation_tokens / config->model.context, machine.ranks) : 1;
}
double Plan::training_seconds() const { return training_flops() / (pace(machine) * efficiency()); }
double Plan::evaluation_seconds() const { return evaluation_flops() / (pace(machine) * evaluation_efficiency()); }
double Plan::seconds_to_write(int64_t bytes) const {
  return machine.write_bytes_per_second > 0 ? real(bytes) / machine.write_bytes_per_second : 0;
}
double Plan::shared_bytes() const {
  return kernels_run_at_once ? real(machine.ranks_per_node) * rank_bytes() : rank_bytes() - real(memory.snapshots + memory.saves);
}

// ---- words -----------------------------------------------------------------------------------------------------------------

namespace {

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[400];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// "70,000".
std::string grouped(int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}
/// "1 rank", "2,000 ranks".
std::string several(int64_t count, const std::string& what) { return grouped(count) + " " + what + (count == 1 ? "" : "s"); }

/// "27.5 billion", "1.02 million", "16,384".
std::string many(double count) {
  if (count >= 1e9) return print("%.4g billion", 1e-9 * count);
  return count >= 1e6 ? print("%.3g million", 1e-6 * count) : grouped(std::llround(count));
}
/// "13.2 s", "4.1 minutes", "27.3 hours".
std::string time_text(double seconds) {
  if (seconds < 120) return print("%.3g s", seconds);
  if (seconds < 7200) return print("%.3g minutes", seconds / 60);
  return seconds < 3.6e6 ? print("%.3g hours", seconds / 3600) : grouped(std::llround(seconds / 3600)) + " hours";
}
std::string percent(double part) { return print("%.3g %%", 100 * part); }
std::string flops_text(double rate) { return rate >= 1e12 ? print("%.3g TFLOP/s", 1e-12 * rate) : print("%.3g GFLOP/s", 1e-9 * rate); }

std::string data_text(const Plan& plan) {
  if (!plan.data_tokens) return "";
  return print("; data.train holds %s: %.3g epochs", many(real(*plan.data_tokens)).c_str(), real(plan.tokens()) / real(*plan.data_tokens));
}

std::string memory_text(const Plan& plan) {
  const RankMemory& m = plan.memory;
  std::string parts;
  for (const auto& [name, bytes] : {std::pair{"weights", m.weights}, std::pair{"gradients", m.gradients}, std::pair{"optimizer", m.optimizer},
                                    std::pair{"activations", m.activations}, std::pair{"averages", m.averages}, std::pair{"snapshots", m.snapshots}, std::pair{"saves", m.saves}})
    if (bytes > 0) parts += std::string(name) + " " + bytes_text(real(bytes)) + ", ";
  return bytes_text(plan.rank_bytes()) + " a rank: " + parts + "program " + bytes_text(plan.machine.program_bytes);
}

std::string disk_text(const Plan& plan) {
  const RunOutput& out = plan.output;
  std::string text = bytes_text(real(out.disk_bytes)) + " at most: " + several(out.checkpoints, "checkpoint") + " of " + bytes_text(real(out.weights_bytes));
  if (out.most_weights < out.checkpoints) text += ", " + grouped(out.most_weights) + " of them at a time";
  if (out.averages > 0) text += ", " + several(out.averages, "average");
  return text + ", " + several(out.most_states, "state") + " of " + bytes_text(real(out.state_bytes)) + " at a time";
}

std::string save_text(const Plan& plan) {
  const PlannedMachine& machine = plan.machine;
  if (machine.write_bytes_per_second == 0) return "not measured: the disk is full";
  const RunOutput& out = plan.output;
  return time_text(plan.seconds_to_write(out.weights_bytes + out.state_bytes)) + " with the state, " + time_text(plan.seconds_to_write(out.weights_bytes)) +
         " without, at " + rate_text(machine.write_bytes_per_second) + (machine.write_measured ? ": what one process reached there, fsync included" : " (plan.write_bytes_per_second)");
}

std::string pace_text(const PlannedMachine& machine) {
  const std::string measured = machine.measured_ranks > 0 ? "measured on " + several(machine.measured_ranks, "rank") + " here" : "plan.gemm_flops_per_second";
  return several(machine.ranks, "rank") + " at " + percent(machine.share) + " (" + machine.share_from + ") of " +
         flops_text(machine.gemm_flops_per_second) + " each (" + measured + ")";
}

/// Keys that would make a run's files fewer, and the bytes that each is about.
std::string disk_keys(const Plan& plan) {
  const RunOutput& out = plan.output;
  const auto worth = [](double bytes) { return " (" + bytes_text(bytes) + ")"; };
  std::string keys;
  if (out.checkpoints > 1) keys += "larger checkpoint.steps and state_steps" + worth(real(out.most_weights * out.weights_bytes)) + ", ";
  if (out.checkpoints > 1 && plan.config->checkpoint.keep_weights == 0) keys += "checkpoint.keep_weights, ";
  if (out.averages > 0) keys += "[[averages]] without save" + worth(real(out.averages * out.weights_bytes)) + ", ";
  if (out.most_states > 2) keys += "fewer checkpoint.keep_states" + worth(real(out.most_states * out.state_bytes)) + ", ";
  if (out.most_snapshots > 0) keys += "[[averages]] with a smaller window, ";
  return keys + "another run.directory";
}

}  // namespace

std::vector<std::string> Plan::problems() const {
  std::vector<std::string> found;
  const double needed = real(output.disk_bytes - present_bytes);
  if (needed > machine.free_bytes)
    found.push_back(concat("run.directory: ", config->run.directory, ": the run takes up to ", bytes_text(real(output.disk_bytes)), " of disk",
                           present_bytes > 0 ? " (" + bytes_text(real(present_bytes)) + " are there)" : "", ", and ", bytes_text(machine.free_bytes),
                           " are free; what would help: ", disk_keys(*this)));
  if (shared_bytes() > machine.memory_bytes)
    found.push_back(concat(kernels_run_at_once ? several(machine.ranks_per_node, "rank") + " on a node take " : "a rank takes ", bytes_text(shared_bytes()),
                           " of memory, and there are ", bytes_text(machine.memory_bytes), "; what would help: ",
                           "batch.memory_budget or batch.micro_sequences, batch.recompute (activations are ", bytes_text(real(memory.activations)),
                           " a rank), more nodes, fewer plan.ranks_per_node"));
  return found;
}

Json to_json(const Plan& plan) {
  const TrainConfig& c = *plan.config;
  const PlannedMachine& machine = plan.machine;
  const RunOutput& out = plan.output;
  const auto known = [](const std::optional<int64_t>& value) { return value ? Json(*value) : Json(nullptr); };
  const auto measured = [](double value) { return value > 0 ? Json(value) : Json(nullptr); };
  Json json;
  json["model"] = {{"parameters", plan.parameters}, {"flops_per_token", flops_per_token(c.model)}};
  json["training"] = {{"first_step", plan.first_step}, {"steps", c.schedule.steps}, {"step_tokens", c.batch.global_sequences * c.model.context},
                      {"tokens", plan.tokens()}, {"data_tokens", known(plan.data_tokens)},
                      {"epochs", plan.data_tokens ? Json(real(plan.tokens()) / real(*plan.data_tokens)) : Json(nullptr)},
                      {"flops", plan.training_flops()}};
  json["evaluation"] = {{"evaluations", out.evaluations}, {"tokens", known(plan.validation_tokens)}, {"flops", plan.evaluation_flops()},
                        {"efficiency", plan.evaluation_efficiency()}};
  json["split"] = {{"ranks", machine.ranks}, {"ranks_per_node", machine.ranks_per_node}, {"micro_sequences", plan.micro_sequences},
                   {"efficiency", plan.efficiency()}};
  json["memory"] = {{"weights", plan.memory.weights}, {"gradients", plan.memory.gradients}, {"optimizer", plan.memory.optimizer},
                    {"activations", plan.memory.activations}, {"averages", plan.memory.averages}, {"snapshots", plan.memory.snapshots}, {"saves", plan.memory.saves},
                    {"program", machine.program_bytes}, {"rank", plan.rank_bytes()}, {"needed", plan.shared_bytes()},
                    {"available", machine.memory_bytes}};
  json["disk"] = {{"directory", c.run.directory}, {"checkpoints", out.checkpoints}, {"most_checkpoints", out.most_weights},
                  {"weights_bytes", out.weights_bytes}, {"averages", out.averages},
                  {"states", out.states}, {"most_states", out.most_states}, {"state_bytes", out.state_bytes}, {"bytes", out.disk_bytes},
                  {"written_bytes", out.written_bytes}, {"present_bytes", plan.present_bytes}, {"free_bytes", machine.free_bytes},
                  {"write_bytes_per_second", measured(machine.write_bytes_per_second)},
                  {"save_seconds", measured(plan.seconds_to_write(out.weights_bytes + out.state_bytes))}};
  json["time"] = {{"gemm_flops_per_second", machine.gemm_flops_per_second}, {"share", machine.share}, {"share_from", machine.share_from},
                  {"training_seconds", plan.training_seconds()}, {"evaluation_seconds", plan.evaluation_seconds()},
                  {"saving_seconds", measured(plan.seconds_to_write(out.written_bytes))},
                  {"hours", (plan.training_seconds() + plan.evaluation_seconds() + plan.seconds_to_write(out.written_bytes)) / 3600}};
  json["missing"] = plan.missing;
  json["warnings"] = plan.warnings;
  json["problems"] = plan.problems();
  return json;
}

std::string page(const Plan& plan) {
  const TrainConfig& c = *plan.config;
  const PlannedMachine& machine = plan.machine;
  const int64_t most = (c.batch.global_sequences + machine.ranks - 1) / machine.ranks, steps = c.schedule.steps - plan.first_step;
  const double training = plan.training_seconds(), evaluating = plan.evaluation_seconds(), saving = plan.seconds_to_write(plan.output.written_bytes);
  std::string text;
  const auto line = [&](const char* name, const std::string& words) { text += print("%-12s", name) + words + "\n"; };
  line("model", print("%s, %.2f million parameters in %s, %.4g MFLOP a token", title(c.model), 1e-6 * real(plan.parameters), c.precision.c_str(),
                      1e-6 * flops_per_token(c.model)));
  line("training", several(steps, "step") + " of " + grouped(c.batch.global_sequences * c.model.context) + " tokens: " + many(real(plan.tokens())) +
                       data_text(plan));
  line("operations", print("%.3g of training, %.2g of ", plan.training_flops(), plan.evaluation_flops()) + several(plan.output.evaluations, "evaluation") +
                         (plan.validation_tokens ? " on " + many(real(*plan.validation_tokens)) + " tokens" : ""));
  line("split", several(machine.ranks, "rank") + ", " + grouped(machine.ranks_per_node) + " on a node: up to " + several(most, "sequence") + " a step each, " +
                    grouped(plan.micro_sequences) + " at a time; " + percent(plan.efficiency()) + " of their time is used");
  line("memory", memory_text(plan));
  line("", (kernels_run_at_once ? "a node: " : "on the device: ") + bytes_text(plan.shared_bytes()) + " of " + bytes_text(machine.memory_bytes));
  line("disk", disk_text(plan));
  line("", c.run.directory + ": " + bytes_text(machine.free_bytes) + " are free there");
  line("a save", save_text(plan));
  line("time", time_text(training + evaluating + saving) + ": training " + time_text(training) + ", evaluations " + time_text(evaluating) + ", saves " +
                   time_text(saving));
  line("", pace_text(machine));
  for (const std::string& words : plan.missing) line("missing", words);
  for (const std::string& words : plan.warnings) line("warning", words);
  return text;
}

}  // namespace lawa
