#include "checkpoint/direct_file.hpp"

#include "checkpoint/flat_file_layout.hpp"
#include "core/byte_file.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

ArrayPlace lay_out_weights(const std::filesystem::path& file, const FlatHeader& header, NumberFormat format) {
  h5::be_quiet();
  detail::lay_out(file, header, {{"weights", format}});
  return detail::array_places(h5::open_for_reading(file.string()), file.string(), header.table.size()).at("weights");
}

void write_weights_part(const std::filesystem::path& file, const ArrayPlace& place, Range range, std::span<const float> values) {
  LAWA_CHECK(range.begin % block_size == 0 && std::ssize(values) == range.size(), "elements from ", range.begin, " are no whole blocks");
  std::vector<std::byte> narrow;
  std::span<const std::byte> stored = std::as_bytes(values);
  if (place.format != NumberFormat::float32) {
    narrow.resize(values.size() * static_cast<size_t>(bytes_of(place.format)));
    from_floats(values, place.format, narrow);
    stored = narrow;
  }
  const auto sums = block_checksums(stored, place.format);
  const int64_t offset = place.values + range.begin * bytes_of(place.format);
  const ByteFile out(file, ByteFile::Mode::write);
  out.write(offset, stored);
  out.write(place.checksums + range.begin / block_size * static_cast<int64_t>(sizeof(uint64_t)), std::as_bytes(std::span(sums)));
  out.begin_writing_back(offset, std::ssize(stored));
}

}  // namespace lawa
