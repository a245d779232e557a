// lawa <command> [FILE.toml …] [key=value …]
#include <cstdio>

#include "comm/program.hpp"
#include "core/stop_request.hpp"
#include "core/version.hpp"
#include "doctor/launch.hpp"
#include "programs/arguments.hpp"

namespace {

struct Command {
  const char* name;
  const char* help;
  void (*run)(const lawa::Communicator&, const lawa::Arguments&);
  bool stops;  ///< when it is asked to (core/stop_request.hpp)
  const char* option = "";
  bool (*has_key)(const std::string&) = nullptr;  ///< of those that take places
  void (*before_mpi)() = nullptr;
};

constexpr Command commands[] = {
    {"train", "train a model, or go on with a run", lawa::train_command, true},
    {"plan", "what a run takes, before it starts: memory, disk, hours", lawa::plan_command, false, "--json"},
    {"average", "average checkpoints of a run (LAWA and its kin)", lawa::average_command, true, "--rebuild", lawa::average_has_key},
    {"evaluate", "validation loss of weights files, or of averages of them", lawa::evaluate_command, true, "", lawa::evaluate_has_key},
    {"doctor", "is this machine set up right? each problem with its remedy", lawa::doctor_command, false, "--json", lawa::doctor_has_key, lawa::let_mpi_start},
    {"inspect", "a weights file's table, config and provenance as JSON", lawa::inspect_command, false, "", [](const std::string&) { return false; }},
};

void print_usage() {
  std::printf("lawa %s: early weight averaging for language-model pre-training\n\n", lawa::version().number.c_str());
  std::printf("  lawa <command> [FILE.toml …] [key=value …]      under mpirun or srun for more than one rank\n\n");
  for (const Command& command : commands) std::printf("  %-10s%s\n", command.name, command.help);
  std::printf("\n  lawa <command> --help lists every key with its unit and default\n\n%s\n", lawa::exit_codes);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  for (const Command& command : commands) {
    if (argc < 2 || argv[1] != std::string(command.name)) continue;
    if (command.stops) lawa::note_stop_signals();
    if (command.before_mpi != nullptr) command.before_mpi();
  }
  return lawa::run_program(argc, argv, [](lawa::Communicator& comm, const std::vector<std::string>& words) {
    const std::string name = words.empty() ? "--help" : words[0];
    if (name == "--help" || name == "-h" || name == "help") {
      if (comm.root()) print_usage();
      return;
    }
    for (const Command& command : commands)
      if (name == command.name) return command.run(comm, lawa::read_arguments(comm, {words.begin() + 1, words.end()}, command.option, command.has_key));
    lawa::fail(__FILE__, __LINE__, "unknown command ", name, "; lawa --help lists the commands");
  });
}
