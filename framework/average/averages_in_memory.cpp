#include "average/averages_in_memory.hpp"

#include <algorithm>
#include <exception>

#include "average/pieces.hpp"
#include "checkpoint/shard_file.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace {

/// The header that an average's file would have. Collective.
FlatHeader header_of(const Communicator& comm, const PlannedFile& file, const std::vector<Source>& sources) {
  const Source& newest = *std::ranges::lower_bound(sources, file.average.step(), {}, &Source::step);
  PlacedFile opened = open_on_root(comm, [&] { return open_model(newest.path); });
  opened.header.step = newest.own_step();
  return header_of_average(opened.header, describe_average(file, sources));
}

}  // namespace

void for_each_average(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                      const std::vector<Source>& sources, Log& log, const std::function<void(const MadeAverage&)>& use) {
  const std::vector<Average> plan = averages_of(files);
  const AveragingOrder order = averaging_order(plan);
  SourceReaders readers(sources, options.allow_nonfinite);
  const ShardLayout layout(sources[0].table->size(), comm.rank(), comm.size());
  log.line(detail::work_text(order, plan.size(), layout.local_size()));
  const NumberFormat format = format_of_precision(options.precision);
  std::exception_ptr outside;  // of this rank's numbers; the others hear of it before anybody goes on
  const AveragingPiece io{
      [&](int64_t step, Range range, std::span<float> out) {
        comm.together([&] {
          detail::for_each_piece(comm, range, detail::most_elements, [&](Range piece) {
            readers.read(step, piece, out.subspan(static_cast<size_t>(piece.begin - range.begin), static_cast<size_t>(piece.size())));
          });
        });
      },
      [&](size_t i, Range, std::span<const float> values) {
        comm.together([&] {
          if (outside) std::rethrow_exception(outside);
        });
        std::vector<uint64_t> sums;
        detail::for_each_piece({0, std::ssize(values)}, detail::most_elements, [&](Range piece) {
          detail::add_checksums(values.subspan(static_cast<size_t>(piece.begin), static_cast<size_t>(piece.size())), format, sums);
        });
        use({header_of(comm, files[i], sources), values, detail::joint_digest(comm, sums)});
      },
      [&](int64_t step, int64_t element, double number) {
        try {
          detail::beyond(format, *sources[0].table, detail::by_own_step(sources))(step, element, number);
        } catch (const Error&) {
          outside = std::current_exception();
        }
      }};
  average_piece(plan, order, detail::owned_range(comm, sources[0].table->size()), detail::rounding_to(format), io);
}

}  // namespace lawa
