#include "doctor/launch.hpp"

#include <charconv>
#include <cstdlib>
#include <sstream>

#include "comm/mpi_library.hpp"
#include "core/files.hpp"

namespace lawa {
namespace {

std::string text(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

int64_t number(const Environment& environment, const std::string& name, int64_t otherwise) {
  const std::string word = text(environment, name);
  int64_t value = otherwise;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

/// Of --mpi=none srun leaves no word, and nothing else either.
std::string kind_of_srun(const Environment& environment) {
  const std::string kind = text(environment, "SLURM_MPI_TYPE");
  const bool offers = environment.contains("PMIX_RANK") || environment.contains("PMI_RANK");
  return kind.empty() && !offers ? "none" : kind;
}

struct Launcher {
  const char *name, *sign, *tasks, *rank;  ///< variables: the one that says it was this one, the number of tasks, this one's rank
};

// In this order: mpirun inside an allocation leaves Slurm's variables as they were.
constexpr Launcher launchers[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
    {"srun", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
    {"mpiexec", "PMI_SIZE", "PMI_SIZE", "PMI_RANK"},
    {"slurm", "SLURM_NTASKS", "SLURM_NTASKS", "SLURM_PROCID"},
};

}  // namespace

Environment initial_environment() {
  Environment environment;
  std::istringstream words(read_file("/proc/self/environ"));
  for (std::string word; std::getline(words, word, '\0');)
    if (const size_t equals = word.find('='); equals != std::string::npos) environment[word.substr(0, equals)] = word.substr(equals + 1);
  return environment;
}

LaunchFacts launch_facts(const Environment& environment) {
  LaunchFacts facts;
  facts.pmix = environment.contains("PMIX_NAMESPACE") && environment.contains("PMIX_RANK");
  for (const Launcher& launcher : launchers) {
    if (text(environment, launcher.sign).empty()) continue;
    facts.launcher = launcher.name;
    facts.tasks = number(environment, launcher.tasks, 1);
    facts.rank = number(environment, launcher.rank, 0);
    if (facts.launcher == "srun") facts.kind = kind_of_srun(environment);
    return facts;
  }
  return facts;
}

void let_mpi_start() {
  const LaunchFacts facts = launch_facts(initial_environment());
  if (facts.launcher == "srun" && !facts.pmix && mpi_library_name().starts_with("Open MPI")) ::unsetenv("SLURM_STEP_ID");
}

}  // namespace lawa
