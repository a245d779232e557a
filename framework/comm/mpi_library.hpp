// The MPI library that this program runs on.
#pragma once
#include <string>

namespace lawa {

struct MpiLibrary {
  std::string name;           ///< the first line of what it says of itself: "Open MPI v4.1.4, package: Debian OpenMPI, …"
  std::string standard;       ///< that it follows: "3.1"
  std::string io_components;  ///< which MPI-IO Open MPI was told to take (its control variable "io"): "" where it chooses, "romio321"
};

/// MPI must be running.
MpiLibrary mpi_library();
/// Its name alone, which can be asked for before MPI starts.
std::string mpi_library_name();

}  // namespace lawa
