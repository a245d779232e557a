// Weights files that are written straight to their bytes: one rank lays the file out and closes it, then every rank writes its
// own parts with plain system calls. No rank waits for another, no file stays open, so thousands can be under way at a time;
// parallel HDF5 would open each of them on all ranks together.
#pragma once
#include "checkpoint/flat_file.hpp"

namespace lawa {

/// Where /weights lies in a laid-out file: byte offsets of its values and of their checksums.
struct WeightsPlace {
  int64_t values = 0, checksums = 0;
};

/// Creates `file` with everything in it but values and checksums. On one rank.
WeightsPlace lay_out_weights(const std::filesystem::path& file, const FlatHeader& header);

/// Writes elements [range.begin, …) and their checksums; begin is a multiple of 4096, the end too or P. Errors name the file.
void write_weights_part(const std::filesystem::path& file, const WeightsPlace& place, Range range, std::span<const float> values);

/// The system forgets what it holds of a durable file in memory: the next read comes from the disk.
void forget_cached(const std::filesystem::path& file);

}  // namespace lawa
