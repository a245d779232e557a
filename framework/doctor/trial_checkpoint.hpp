// A checkpoint that all ranks write and read as training does it, to see whether and how fast they can.
#pragma once
#include "comm/communicator.hpp"
#include "doctor/facts.hpp"

namespace lawa {

/// Sets the facts about the trial, by both of checkpoint.writer's ways where HDF5 is parallel; none where the folder can't be used or not
/// all hosts see it. The file is gone afterwards. Collective.
void try_checkpoint(const Communicator& comm, Facts& facts);

}  // namespace lawa
