// The HDF5 library that this program has loaded, which need not be the one that it was built with.
#pragma once
#include <string>

#include "comm/communicator.hpp"

namespace lawa {

struct Hdf5Library {
  std::string version;    ///< "1.10.8"
  bool parallel = false;  ///< it takes a communicator: all ranks can have one file open
};

/// Collective.
Hdf5Library hdf5_library(const Communicator& comm);

}  // namespace lawa
