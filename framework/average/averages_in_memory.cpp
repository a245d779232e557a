#include "average/averages_in_memory.hpp"

#include "average/flat_sources.hpp"

namespace lawa {
namespace {

Range owned_range(const ShardLayout& layout) {
  const auto mine = layout.mine();
  return mine.empty() ? Range{0, 0} : mine[0].range;
}

}  // namespace

void for_each_average(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                      const std::vector<Source>& sources, Log& log, const std::function<void(const MadeAverage&)>& use) {
  LAWA_CHECK(sources.empty() || !detail::is_safetensors(sources[0].path), sources[0].path.string(),
             ": safetensors are averaged into files only, by lawa average");
  const std::vector<Average> plan = detail::averages_of(files);
  const AveragingOrder order = averaging_order(plan);
  std::optional<detail::FlatSources> reader;
  raise_open_file_limit();
  comm.together([&] { reader.emplace(detail::used_sources(plan, sources), options.allow_nonfinite); });
  const ShardLayout layout(reader->size(), comm.rank(), comm.size());
  log.line(detail::work_text(order, plan.size(), layout.local_size()));
  const NumberFormat format = detail::format_of(options.precision);
  const AveragingPiece io{
      [&](int64_t step, Range range, std::span<float> out) {
        comm.together([&] {
          detail::for_each_piece(range, detail::most_elements, [&](Range piece) {
            stop_if_requested();
            reader->read(step, piece, out.subspan(static_cast<size_t>(piece.begin - range.begin), static_cast<size_t>(piece.size())));
          });
        });
      },
      [&](size_t i, Range, std::span<const float> values) {
        std::vector<uint64_t> sums;
        detail::for_each_piece({0, std::ssize(values)}, detail::most_elements, [&](Range piece) {
          detail::add_checksums(values.subspan(static_cast<size_t>(piece.begin), static_cast<size_t>(piece.size())), format, sums);
        });
        use({reader->header_of(files[i], sources), values, detail::digest_of(comm, sums)});
      }};
  average_piece(plan, order, owned_range(layout), detail::rounding_to(format), io);
}

}  // namespace lawa
