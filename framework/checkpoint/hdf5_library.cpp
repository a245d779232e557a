#include "checkpoint/hdf5_library.hpp"

#include <dlfcn.h>

#include "checkpoint/hdf5.hpp"
#include "comm/mpi.hpp"

namespace lawa {
namespace {

/// A serial library lacks the function altogether, and the program would end at the call.
bool takes(MPI_Comm comm) {
  if (::dlsym(RTLD_DEFAULT, "H5Pset_fapl_mpio") == nullptr) return false;
  const h5::Handle access = h5::properties(H5P_FILE_ACCESS);
  return H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL) >= 0;
}

}  // namespace

Hdf5Library hdf5_library(const Communicator& comm) {
  h5::be_quiet();
  unsigned major = 0, minor = 0, release = 0;
  LAWA_H5("HDF5", H5get_libversion(&major, &minor, &release));
  return {concat(major, ".", minor, ".", release), takes(mpi_comm(comm))};
}

}  // namespace lawa
