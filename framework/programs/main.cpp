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
  std::set<std::string> (*keys)();
  bool stops;  ///< when it is asked to (core/stop_request.hpp)
  const char* option = "";
  void (*before_mpi)() = nullptr;
};

constexpr Command commands[] = {
    {"train", "train a model, or go on with a run", lawa::train_command, lawa::train_keys, true},
    {"plan", "what a run takes, before it starts: memory, disk, hours", lawa::plan_command, lawa::plan_keys, false, "--json"},
    {"average", "average checkpoints: of a run, of several, of any safetensors model (LAWA and its kin)", lawa::average_command, lawa::average_keys, true, "--rebuild"},
    {"evaluate", "validation loss of weights files, or of averages of them", lawa::evaluate_command, lawa::evaluate_keys, true},
    {"import", "weights files from models as Hugging Face's transformers saves them", lawa::import_command, lawa::import_keys, true},
    {"export", "a weights file as a folder that transformers loads", lawa::export_command, lawa::export_keys, true},
    {"doctor", "is this machine set up right? each problem with its remedy", lawa::doctor_command, lawa::doctor_keys, false, "--json",
     lawa::let_mpi_start},
    {"inspect", "a weights file's header as JSON; reads and verifies all of it", lawa::inspect_command, lawa::inspect_keys, false},
};

void print_usage() {
  std::printf("lawa %s: early weight averaging for language-model pre-training\n\n", lawa::version().number.c_str());
  std::printf("  lawa <command> [FILE.toml …] [key=value …]      under mpirun or srun for more than one rank\n\n");
  for (const Command& command : commands) std::printf("  %-10s%s\n", command.name, command.help);
  std::printf("\n  lawa <command> --help lists every key with its unit and default; lawa --version says which program this is\n\n%s\n", lawa::exit_codes);
  std::fflush(stdout);
}

void print_version() {
  const lawa::Version program = lawa::version();
  std::printf("lawa %s (%s%s), %s\n", program.number.c_str(), program.git.c_str(), program.dirty ? ", with changes" : "", program.build.c_str());
  std::fflush(stdout);
}

void run(const Command& command, const lawa::Communicator& comm, const std::vector<std::string>& words) {
  std::vector<lawa::KnownKeys> known;
  for (const Command& other : commands) known.push_back({other.name, other.keys()});
  lawa::Arguments arguments = lawa::read_arguments(comm, words, command.option, command.keys());
  lawa::leave_keys_of_others(comm, {command.name, command.keys()}, known, arguments.source);
  command.run(comm, arguments);
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
    if (name == "--version" || name == "-V" || name == "version") {
      if (comm.root()) print_version();
      return;
    }
    for (const Command& command : commands)
      if (name == command.name) return run(command, comm, {words.begin() + 1, words.end()});
    lawa::fail(__FILE__, __LINE__, "unknown command ", name, "; lawa --help lists the commands");
  });
}
