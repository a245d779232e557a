// A file that is laid out, written by all ranks together through parallel HDF5: MPI-IO gathers what the ranks have into large transfers.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/hdf5.hpp"
#include "comm/communicator.hpp"
#include "core/range.hpp"

namespace lawa {

class ParallelFile {
 public:
  /// Collective. Hints as hint_of takes them; those that MPI heeds for a new file only come too late. Errors reach all ranks.
  ParallelFile(const Communicator& comm, const std::filesystem::path& part, const std::vector<std::string>& hints);

  /// Stored numbers of an array, those of some ranges one behind the other: in calls of at most `most_elements` a rank, as many on every
  /// rank as `elements`, which is the same on all, needs. Collective. Errors reach all ranks.
  void write(const std::string& array, NumberFormat format, const std::vector<Range>& ranges, std::span<const std::byte> stored,
             int64_t elements, int64_t most_elements);
  /// Collective.
  void close();

 private:
  const Communicator& comm_;
  std::string part_;
  h5::Handle file_{};
};

}  // namespace lawa
