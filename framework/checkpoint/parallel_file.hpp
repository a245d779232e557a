// A file that is laid out, written by all ranks together through parallel HDF5: MPI-IO gathers what the ranks have into large transfers.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "checkpoint/placed_file.hpp"
#include "comm/communicator.hpp"

namespace lawa {

/// Name and value of a hint for MPI-IO, "cb_nodes=4". Errors: it isn't of that form; `place` says where it stands.
std::pair<std::string, std::string> hint_of(const std::string& text, const std::string& place);

class ParallelFile {
 public:
  /// Collective. Hints as hint_of takes them; those that MPI heeds for a new file only come too late. Errors reach all ranks.
  ParallelFile(const Communicator& comm, const std::filesystem::path& part, const std::vector<std::string>& hints);
  ~ParallelFile();
  ParallelFile(const ParallelFile&) = delete;
  ParallelFile& operator=(const ParallelFile&) = delete;

  /// Stored numbers of an array, those of some ranges one behind the other: in calls of at most `most_elements` a rank, as many on every
  /// rank as `elements`, which is the same on all, needs. Collective. Errors reach all ranks.
  void write(const std::string& array, NumberFormat format, const std::vector<Range>& ranges, std::span<const std::byte> stored,
             int64_t elements, int64_t most_elements);
  /// Collective.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lawa
