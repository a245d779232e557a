// How averages are worked through: piece by piece of what a rank owns. Inside average only.
#pragma once
#include <cmath>

#include "average/sources.hpp"
#include "average/streamed.hpp"
#include "comm/communicator.hpp"
#include "core/error.hpp"
#include "core/number_format.hpp"
#include "core/stop_request.hpp"
#include "params/parameter_table.hpp"
#include "params/shard_layout.hpp"

namespace lawa::detail {

inline constexpr int64_t most_elements = int64_t{1} << 16;  ///< of a piece: what a few checkpoints hold of it stays in the caches

inline Rounding rounding_to(NumberFormat format) {
  if (format == NumberFormat::float16) return Rounding::float16;
  return format == NumberFormat::bfloat16 ? Rounding::bfloat16 : Rounding::float32;
}
/// AveragingPiece::beyond: an error that names the average, as name(step) does, and the tensor.
template <class Name>
auto beyond(NumberFormat format, const ParameterTable& table, Name name) {
  return [format, &table, name](int64_t step, int64_t element, double number) {
    fail(__FILE__, __LINE__, name(step), ": ", table.at(element).name, " holds ", std::isinf(number) ? "infinity" : Json(number).dump(), ", and the largest number of ",
         name_of(format), " is ", largest_of(format), "; choose another averaging.precision");
  };
}

/// An average's name by the step that it is planned with.
inline auto by_own_step(const std::vector<Source>& sources) {
  return [sharing = sources[0].sharing](int64_t step) { return concat("the average of step ", step / sharing); };
}

/// What this rank owns of 0..size-1 by ShardLayout, in one piece; empty where it owns nothing.
inline Range owned_range(const Communicator& comm, int64_t size) {
  const auto mine = ShardLayout(size, comm.rank(), comm.size()).mine();
  return mine.empty() ? Range{0, 0} : mine[0].range;
}

/// "412 averages of 60 checkpoints; at most 40 MB of weights held a rank", where pieces have `elements` elements.
std::string work_text(const AveragingOrder& order, size_t averages, int64_t elements);

/// f(piece) for consecutive pieces of a range.
template <class F>
void for_each_piece(Range range, int64_t elements, F&& f) {
  for (int64_t begin = range.begin; begin < range.end; begin += elements) f(Range{begin, std::min(begin + elements, range.end)});
}
/// The same within work of all ranks (Communicator::together), which ends at the next piece where one of them has failed or was asked to
/// stop.
template <class F>
void for_each_piece(const Communicator& comm, Range range, int64_t elements, F&& f) {
  for_each_piece(range, elements, [&](Range piece) {
    stop_if_requested();
    comm.end_if_another_failed();
    f(piece);
  });
}

/// Adds the checksums that values, from the beginning of a block on, have in a file.
void add_checksums(std::span<const float> values, NumberFormat format, std::vector<uint64_t>& sums);

/// The digest of an array (digest_of) of which every rank has some blocks' checksums, in the order of the ranks. Collective.
std::string joint_digest(const Communicator& comm, const std::vector<uint64_t>& mine);

}  // namespace lawa::detail
