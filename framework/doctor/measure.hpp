// The facts about the job that calls it: what MPI, the nodes and a folder say of themselves, and how fast they are.
#pragma once
#include <filesystem>

#include "comm/communicator.hpp"
#include "core/file_system_probe.hpp"
#include "doctor/facts.hpp"

namespace lawa {

/// Takes about 2 s, and as long as `limits` lets the folder's probe take. Collective; rank 0's are whole, others lack the folder's.
Facts measured_facts(const Communicator& comm, const LaunchFacts& launch, const std::filesystem::path& folder, const ProbeLimits& limits);

/// What implements MPI-IO: OMPIO is Open MPI's choice except on Lustre; everybody else has ROMIO. `components` as in MpiLibrary.
std::string mpi_io_name(const std::string& library, const std::string& components, const std::string& file_system);

}  // namespace lawa
