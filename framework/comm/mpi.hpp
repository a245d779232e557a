// MPI itself, for comm and for the modules that hand a communicator to another library (parallel HDF5).
#pragma once
#include <mpi.h>

#include "comm/communicator.hpp"

namespace lawa {

/// The communicator that `comm` owns.
MPI_Comm mpi_comm(const Communicator& comm);

/// Throws lawa::Error when an MPI call failed. MPI_COMM_WORLD's handler must be MPI_ERRORS_RETURN for that (run_program sets it).
void check_mpi(int status, const char* call, const char* file, int line);
#define LAWA_MPI(call) ::lawa::check_mpi((call), #call, __FILE__, __LINE__)

}  // namespace lawa
