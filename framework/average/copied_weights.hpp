// Weights from one file into another one, whatever the two formats: an average of one.
#pragma once
#include "checkpoint/placed_file.hpp"
#include "comm/communicator.hpp"
#include "core/log.hpp"

namespace lawa {

/// The formats that hold all of a file's numbers, and no more than needed: its own, or float32 where it has several, or float64.
NumberFormat format_for(const Places& places);

/// Copies a file's weights to where `places` has them in part_of(to), which is laid out: each rank its own part, a piece at a time, so that
/// memory doesn't depend on the model. Numbers are rounded once, to the nearest, where the format is narrower; others keep their bits. What was
/// written is read back and compared. Collective; errors reach all ranks: PlacedReader's; a finite number that the format has no number for
/// (names the tensor and `key`, which chose the format); Stopped. Returns the checksums of all blocks on rank 0, nothing on the others.
std::vector<uint64_t> copy_weights(const Communicator& comm, const PlacedFile& from, const std::filesystem::path& to, const Places& places,
                                   const std::string& key, Log& log);

}  // namespace lawa
