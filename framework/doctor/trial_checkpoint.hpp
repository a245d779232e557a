// A checkpoint that all ranks write and read as training does it, to see whether and how fast they can.
#pragma once
#include "comm/communicator.hpp"
#include "doctor/facts.hpp"

namespace lawa {

/// Bytes that MPI-IO of Open MPI has for the path of a file that several ranks open: more overflow a buffer of its shared file pointers.
inline constexpr int64_t ompio_path_bytes = 240;
/// Bytes behind a run's folder in the longest path that training opens: "/checkpoints/step_00001000.weights.h5.part".
inline constexpr int64_t checkpoint_path_bytes = 42;

/// Sets the facts about the trial; none where rank 0's facts so far say that it can't be: a folder that can't be used or that not all hosts
/// see, a serial HDF5, a path that would end the program. The file is gone afterwards. Collective.
void try_checkpoint(const Communicator& comm, Facts& facts);

}  // namespace lawa
