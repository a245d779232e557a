#include "programs/arguments.hpp"
#include "train/training_run.hpp"

namespace lawa {

void train_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help)
    return print_keys(comm, concat("lawa train FILE.toml … [key=value …]\n"
                                   "Trains in run.directory, or goes on with the run that is there.\n\n", exit_codes),
                      dump_config(TrainConfig(), true));
  LAWA_CHECK(arguments.places.empty(), "lawa train takes .toml files and key=value words, not ", arguments.places[0]);
  const auto config = load_config<TrainConfig>(arguments.source);
  Log log(comm.root());
  run_training(comm, config, log, arguments.source);
}

std::set<std::string> train_keys() { return keys_of<TrainConfig>(); }

}  // namespace lawa
