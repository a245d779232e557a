// Local buffers of a ShardLayout, to and from flat files.
#pragma once
#include <variant>

#include "checkpoint/flat_file.hpp"
#include "params/shard_layout.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

struct ShardArray {
  std::string name;                                 ///< "weights", "m", "v", "averages/…"
  std::variant<Vector<float>, Vector<double>> local;  ///< a local buffer of the layout
  NumberFormat format = NumberFormat::float32;      ///< in the file; doubles are always float64
};

/// Writes what each rank owns of some arrays as one file; returns its record. Collective. Errors reach all ranks.
FileRecord write_shards(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header,
                        const ShardLayout& layout, const std::vector<ShardArray>& arrays, const WriteOptions& options = {});

/// Reads what each rank owns into local buffers. Collective. Errors (FlatFileReader's; a table other than `table`) reach all
/// ranks. Returns the file's header.
FlatHeader read_shards(const Communicator& comm, const std::filesystem::path& path, const std::string& kind,
                       const ParameterTable& table, const ShardLayout& layout, const std::vector<ShardArray>& arrays);

/// The header of a weights file, on every rank. Collective; rank 0 reads and verifies it.
FlatHeader weights_info(const Communicator& comm, const std::filesystem::path& path);

}  // namespace lawa
