// Who started this process: mpirun, srun, or a person.
#pragma once
#include <map>
#include <string>

#include "doctor/facts.hpp"

namespace lawa {

using Environment = std::map<std::string, std::string>;

/// The environment that this process was started with: what MPI has set since isn't in it.
Environment initial_environment();

/// What an environment says about the launcher.
LaunchFacts launch_facts(const Environment& environment);

/// Under srun without PMIx Open MPI ends its process as it starts, and blames its own build. After this it starts, as a job of one rank,
/// and the doctor can say what is wrong. For main(), before MPI starts.
void let_mpi_start();

}  // namespace lawa
