#include "train/resume.hpp"

#include <optional>

#include "core/tries.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// A checkpoint that the run goes on from, or why it doesn't.
struct Attempt {
  std::optional<std::string> problem{};  ///< "": it has no state
  bool evaluation = false;
  Json averages = Json::object();        ///< Trainer::load's
};

/// Errors reach all ranks alike, so all of them take the next candidate together. Collective.
Attempt try_to_go_on(const Communicator& comm, const fs::path& folder, int64_t step, Trainer& trainer) {
  int64_t has_state = 0, evaluation = 0;
  try {
    comm.on_root([&] {
      const CommitRecord record = read_record(record_path(folder, step));
      if (!record.state) return;
      verify_file(folder, record.weights);
      verify_file(folder, *record.state);
      has_state = 1;
      evaluation = record.open.evaluation ? 1 : 0;
    });
    if (comm.broadcast(has_state) == 0) return {.problem = ""};
    Json averages = trainer.load(weights_path(folder, step), true);
    return {.evaluation = comm.broadcast(evaluation) == 1, .averages = std::move(averages)};
  } catch (const Error& error) {
    if (error.of_system || error.exit_code != exit_error) throw;
    return {.problem = error.what()};
  }
}

/// Errors: the system's, in as many tries as there may be. Collective.
Attempt try_to_go_on(const Communicator& comm, const TrainConfig& config, const fs::path& folder, int64_t step, Trainer& trainer, Log& log) {
  const std::string checkpoint = "the checkpoint of step " + std::to_string(step);
  const auto say = [&](const std::string& error) { log.line(checkpoint + " can't be loaded, and it is tried again: " + error); };
  try {
    return with_tries(config.checkpoint.tries, say, [&] { return try_to_go_on(comm, folder, step, trainer); });
  } catch (const Error& error) {
    if (!error.of_system) throw;
    throw Error(concat(error.what(), " (checkpoint.tries): that is no damage, so ", checkpoint, " isn't passed over; the same command goes on from it ",
                       "when it can be read; without ", record_path(folder, step).string(), " it goes on from an older state, or begins anew where there is none"),
                error.place, error.exit_code, true);
  }
}

/// On every rank. Collective.
std::vector<int64_t> recorded_steps(const Communicator& comm, const TrainConfig& config, const fs::path& folder, Log& log) {
  const auto say = [&](const std::string& error) { log.line(folder.string() + " can't be listed, and it is tried again: " + error); };
  return with_tries(config.checkpoint.tries, say, [&] { return from_root(comm, [&] { return Json(lawa::recorded_steps(folder)); }); })
      .get<std::vector<int64_t>>();
}

void cut_metrics(const Communicator& comm, const RunDirectory& directory, int64_t step, bool evaluations, Log& log) {
  comm.on_root([&] {
    const int64_t damaged = directory.cut_metrics(step, evaluations);
    const fs::path path = directory.path() / "metrics.jsonl";
    if (damaged > 0)
      log.line(concat(path.string(), ": ", damaged, damaged == 1 ? " line" : " lines", " could not be read, and went to ", damaged_of(path).string()));
  });
}

void report(const RunDirectory& directory, Json line, const Json& averages, Log& log) {
  log.line("going on from step " + line.at("step").dump());
  for (const auto& [key, text] : {std::pair{"added", " begins anew"}, std::pair{"dropped", " is dropped, and its state with it"}}) {
    const Json names = averages.value(key, Json::array());
    if (!names.empty()) line["averages_" + std::string(key)] = names;
    for (const Json& name : names) log.line(name.get<std::string>() + text);
  }
  directory.append(line);
}

}  // namespace

Resumed begin_or_go_on(const Communicator& comm, const TrainConfig& config, const RunDirectory& directory, Trainer& trainer, const std::string& git,
                       Log& log) {
  const fs::path& folder = directory.checkpoints();
  const auto steps = recorded_steps(comm, config, folder, log);
  int64_t damaged = 0;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const Attempt attempt = try_to_go_on(comm, config, folder, *step, trainer, log);
    if (!attempt.problem) {
      cut_metrics(comm, directory, *step, attempt.evaluation, log);
      report(directory, {{"kind", "resume"}, {"step", *step}, {"ranks", comm.size()}, {"git", git}, {"skipped", damaged}}, attempt.averages, log);
      return {.from_checkpoint = true, .evaluation = attempt.evaluation};
    }
    if (attempt.problem->empty()) continue;  // weights only
    LAWA_CHECK(++damaged <= config.checkpoint.damaged, *attempt.problem, "; with this one more checkpoints are damaged than are passed over, checkpoint.damaged = ",
               config.checkpoint.damaged, ": see what is wrong with that disk; a larger checkpoint.damaged goes on from an older step");
    log.line("skipped the checkpoint of step " + std::to_string(*step) + ": " + *attempt.problem);
  }
  LAWA_CHECK(damaged == 0, "run.directory: ", config.run.directory, ": no checkpoint that a run can go on from is whole (", damaged,
             " damaged); choose another folder, or remove this one to start again");
  cut_metrics(comm, directory, -1, false, log);
  const auto say = [&](const std::string& error) { log.line("the run's start can't be loaded, and it is tried again: " + error); };
  const auto load = [&](const std::string& start, bool state) { with_tries(config.checkpoint.tries, say, [&] { trainer.load(start, state); }); };
  if (!config.start.checkpoint.empty()) load(config.start.checkpoint, true);
  else if (!config.start.weights.empty()) load(config.start.weights, false);
  else trainer.start();
  return {};
}

}  // namespace lawa
