// Means of weights files, each rank over its own part of the flat weights.
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "average/averaging_plan.hpp"
#include "checkpoint/flat_file.hpp"

namespace lawa {

/// Adds up float32 arrays in float64: one division, one rounding at the end.
class Mean {
 public:
  explicit Mean(size_t size) : sums_(size, -0.0) {}  // -0 + x = x, the sign of zero included
  void add(std::span<const float> values);
  /// out[i] = float(sum[i] / count); begins again.
  void finish(std::span<float> out);

 private:
  std::vector<double> sums_;
  int64_t count_ = 0;
};

/// One weights file that may be averaged.
struct Source {
  int64_t step = 0;
  std::filesystem::path path;
  std::string digest;  ///< of its weights
  std::string trajectory_hash;
};

/// Reads and verifies the headers of some weights files; sorted by step. Collective. Errors: FlatFileReader's; files of different
/// runs or models.
std::vector<Source> open_sources(const Communicator& comm, const std::vector<std::filesystem::path>& files);

/// What an average's file says it is made from: scheme, window, stride, and each member's step and digest.
Json describe_average(const AveragingConfig& config, const Average& average, const std::vector<Source>& sources);

/// True where the file of an average is there already. On rank 0. Errors: it is there and may not be (averaging.skip_existing),
/// or is another average.
bool exists_already(const AveragingConfig& config, const Average& average, const std::vector<Source>& sources,
                    const std::filesystem::path& destination);

/// Writes destination/step_….weights.h5 and its commit record. Collective. The result depends neither on the number of ranks nor
/// on the order of the files; memory depends neither on the window nor on the model: `chunk_elements` (a multiple of 4096) are
/// held at a time, in 16 bytes each.
void write_average(const Communicator& comm, const AveragingConfig& config, const Average& average,
                   const std::vector<Source>& sources, const std::filesystem::path& destination,
                   int64_t chunk_elements = int64_t{1} << 22);

}  // namespace lawa
