// What stands behind `lawa <command>`: configs, key=value words and places.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "core/config.hpp"

namespace lawa {

inline constexpr const char* exit_codes =
    "Exit codes, the same on every rank: 0 done, 1 an error, 3 the run diverged (its metrics.jsonl ends with the step), or weights\n"
    "that were evaluated, or their loss, aren't finite, 4 stopped on request: SIGUSR1, SIGTERM or SIGINT on any rank, or run.wall_seconds;\n"
    "200 a rank is stopped, stuck or cut off from the others for LAWA_HANG_SECONDS (600; 0: they wait for ever). After 4 and 200 the same\n"
    "command goes on (average: with averaging.skip_existing=true; evaluate begins again). A second SIGINT ends it at once.\n"
    "Open MPI's mpirun passes SIGUSR1 on, and ends with 4 too; after SIGTERM or SIGINT it sends SIGTERM to the ranks only when\n"
    "OMPI_MCA_odls_base_sigkill_timeout seconds (1) have passed, SIGKILL as many later, and ends with 1.";

struct Arguments {
  ConfigSource source;              ///< the .toml files in their order, then the key=value words
  std::vector<std::string> places;  ///< everything else: weights files and folders
  bool help = false;
  bool option = false;              ///< the command's own option was given
};

/// Sorts the words by their ending; rank 0 reads the files. `option` is the one that this command has ("--rebuild", "--json"), or "". A
/// file or folder that is there is a place though its name holds an = ("step=100"), and what ends as a weights file does, unless it begins
/// with one of the command's `keys`. "hf:" before a place, a model as Hugging
/// Face's libraries keep it, says nothing that the place doesn't. Collective. Errors: an unreadable file, TOML that isn't, an unknown option.
Arguments read_arguments(const Communicator& comm, const std::vector<std::string>& words, const std::string& option,
                         const std::set<std::string>& keys);

/// A command and the keys that it knows.
struct KnownKeys {
  std::string command;
  std::set<std::string> keys;
};
/// Takes keys of other commands out of the source, so that a run's config.toml may be given to any of them, and says so in a line. Errors: one
/// that isn't in a file but among the words.
void leave_keys_of_others(const Communicator& comm, const KnownKeys& own, const std::vector<KnownKeys>& all, ConfigSource& source);

/// Prints the keys of a command with defaults and help to stdout, once.
void print_keys(const Communicator& comm, const std::string& usage, const std::string& keys);

void train_command(const Communicator& comm, const Arguments& arguments);
void plan_command(const Communicator& comm, const Arguments& arguments);
void average_command(const Communicator& comm, const Arguments& arguments);
void evaluate_command(const Communicator& comm, const Arguments& arguments);
void import_command(const Communicator& comm, const Arguments& arguments);
void export_command(const Communicator& comm, const Arguments& arguments);
void doctor_command(const Communicator& comm, const Arguments& arguments);
void inspect_command(const Communicator& comm, const Arguments& arguments);

/// The keys that each of them takes.
std::set<std::string> train_keys();
std::set<std::string> plan_keys();
std::set<std::string> average_keys();
std::set<std::string> evaluate_keys();
std::set<std::string> import_keys();
std::set<std::string> export_keys();
std::set<std::string> doctor_keys();
std::set<std::string> inspect_keys();

}  // namespace lawa
