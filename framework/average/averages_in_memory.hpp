// Averages of weights files that are made one after the other, looked at, and written nowhere.
#pragma once
#include <functional>

#include "average/averager.hpp"

namespace lawa {

/// An average while it is there.
struct MadeAverage {
  FlatHeader header;              ///< that its file would have
  std::span<const float> values;  ///< what this rank owns by ShardLayout(P, rank, ranks): its one piece
  std::string digest;             ///< that its file's weights would have
};

/// use(average) for the average of every planned file, by ascending step: what write_averages would write, bit for bit. Every
/// checkpoint is read once, each rank its own part, which it holds for as long as an average needs it; says first how much that is.
/// Collective; `use` may call collectives. Errors (which reach all ranks): a damaged, missing or non-finite source. Of models
/// in other formats the sources are opened as_models.
void for_each_average(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                      const std::vector<Source>& sources, Log& log, const std::function<void(const MadeAverage&)>& use);

}  // namespace lawa
