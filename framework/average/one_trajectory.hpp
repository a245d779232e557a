// Weights files of one run, or of a run and its branches: the checkpoints that one training went through.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "checkpoint/placed_file.hpp"

namespace lawa {

/// Leaves the files that lie on one trajectory. All of one run do. A run that began at a checkpoint (start.checkpoint) is a branch of the
/// run that this is of, and names its digest: the older run's checkpoints up to there and the branch's own are one trajectory, and so on
/// for branches of branches. What an older run has made beyond is left out, which `say` is told. Errors: a file is of another run; the
/// checkpoint at which a branch began isn't among the files; two runs branch off the same one.
void keep_one_trajectory(std::vector<PlacedFile>& files, const std::function<void(const std::string&)>& say);

}  // namespace lawa
