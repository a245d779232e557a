#include "average/pieces.hpp"

#include <iterator>

#include "checkpoint/placed_file.hpp"
#include "core/log.hpp"

namespace lawa::detail {

std::string work_text(const AveragingOrder& order, size_t averages, int64_t elements) {
  return concat(averages, " averages of ", order.stops.size(), " checkpoints; at most ",
                bytes_text(static_cast<double>(order.bytes(elements))), " of weights held a rank");
}

void add_checksums(std::span<const float> values, NumberFormat format, std::vector<uint64_t>& sums) {
  std::ranges::copy(block_checksums(from_floats(values, format), format), std::back_inserter(sums));
}

std::string joint_digest(const Communicator& comm, const std::vector<uint64_t>& mine) {
  return comm.broadcast(digest_of(comm.gather_on(0, mine)));
}

}  // namespace lawa::detail
