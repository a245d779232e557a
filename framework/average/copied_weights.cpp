#include "average/copied_weights.hpp"

#include <algorithm>
#include <cmath>

#include "average/exact_mean.hpp"
#include "average/pieces.hpp"
#include "core/files.hpp"

namespace lawa {
namespace {

constexpr int64_t copied_elements = int64_t{1} << 22;  // 16 MB as floats, and as much as they are stored: long runs of transposed matrices

/// Rounds numbers to what a format holds. Errors: copy_weights'. `begin`: the element that they begin with.
void round_to(NumberFormat format, std::span<float> values, int64_t begin, const PlacedFile& from, const std::string& key) {
  const std::vector<float> exact(values.begin(), values.end());
  const float* member = exact.data();
  const MeanOfFirst mean{1, values.data()};
  uniform_means({&member, 1}, {&mean, 1}, std::ssize(values), detail::rounding_to(format));
  const auto largest = static_cast<float>(largest_of(format));
  for (size_t i = 0; i < values.size(); ++i)
    LAWA_CHECK(std::abs(values[i]) <= largest || !std::isfinite(exact[i]), from.path.string(), ": ",
               from.header.table.at(begin + static_cast<int64_t>(i)).name, " holds ", Json(exact[i]).dump(), ", and the largest number of ", name_of(format), " is ",
               largest_of(format), "; choose another ", key);
}

}  // namespace

NumberFormat format_for(const Places& places) {
  const bool as_it_is = places.one_format() && places.format() != NumberFormat::float64;
  return as_it_is ? places.format() : NumberFormat::float32;
}

std::vector<uint64_t> copy_weights(const Communicator& comm, const PlacedFile& from, const std::filesystem::path& to, const Places& places,
                                   const std::string& key, Log& log) {
  const Places& stored = from.places("weights");
  const NumberFormat format = places.format();
  const bool exact = std::ranges::all_of(stored.segments, [&](const Segment& segment) { return holds(format, segment.format); });
  const Range mine = detail::owned_range(comm, stored.size());
  const std::filesystem::path part = part_of(to);
  std::vector<uint64_t> sums;
  comm.together([&] {
    OpenFiles open(ByteFile::Mode::read), open_new(ByteFile::Mode::update);
    PlacedReader reader(open, from.path, stored, from.header.table);
    PlacedWriter writer(open_new, part, places);
    std::vector<float> values;
    detail::for_each_piece(comm, mine, copied_elements, [&](Range piece) {
      values.resize(static_cast<size_t>(piece.size()));
      reader.read(piece, values);
      if (!exact && format != NumberFormat::float32) round_to(format, values, piece.begin, from, key);
      writer.write(piece, values);
      writer.verify(piece);
      log.progress(piece.end - mine.begin, mine.size(), "weights of this rank");
    });
    open_new.close_all();
    sums = writer.checksums();
  });
  comm.together([&] {
    if (comm.rank_on_node() == 0) make_all_durable(part);
  });
  return comm.gather_on(0, sums);
}

}  // namespace lawa
