#include "checkpoint/direct_file.hpp"

#include "checkpoint/flat_file_layout.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

namespace {

int64_t values_offset(const ArrayPlace& place, Range range) { return place.values + range.begin * bytes_of(place.format); }
int64_t checksums_offset(const ArrayPlace& place, Range range) {
  return place.checksums + range.begin / block_size * static_cast<int64_t>(sizeof(uint64_t));
}

}  // namespace

ArrayPlace lay_out_weights(const std::filesystem::path& file, const FlatHeader& header, NumberFormat format) {
  h5::be_quiet();
  detail::lay_out(file, header, {{"weights", format}});
  return detail::array_places(h5::open_for_reading(file.string()), file.string(), header.table.size()).at("weights");
}

void write_weights_part(const ByteFile& file, const ArrayPlace& place, Range range, std::span<const float> values) {
  LAWA_CHECK(range.begin % block_size == 0 && std::ssize(values) == range.size(), "elements from ", range.begin, " are no whole blocks");
  std::vector<std::byte> narrow;
  std::span<const std::byte> stored = std::as_bytes(values);
  if (place.format != NumberFormat::float32) {
    narrow.resize(values.size() * static_cast<size_t>(bytes_of(place.format)));
    from_floats(values, place.format, narrow);
    stored = narrow;
  }
  const auto sums = block_checksums(stored, place.format);
  file.write(values_offset(place, range), stored);
  file.write(checksums_offset(place, range), std::as_bytes(std::span(sums)));
}

void begin_writing_back(const ByteFile& file, const ArrayPlace& place, Range range) {
  file.begin_writing_back(values_offset(place, range), range.size() * bytes_of(place.format));
}

void bring_weights_part_back(const ByteFile& file, const ArrayPlace& place, Range range) {
  file.bring_back(values_offset(place, range), range.size() * bytes_of(place.format));
}

void verify_weights_part(const ByteFile& file, const ArrayPlace& place, Range range) {
  std::vector<std::byte> stored(static_cast<size_t>(range.size() * bytes_of(place.format)));
  std::vector<uint64_t> sums(static_cast<size_t>(detail::block_count(range.size())));
  file.read(values_offset(place, range), stored);
  file.read(checksums_offset(place, range), std::as_writable_bytes(std::span(sums)));
  LAWA_CHECK(block_checksums(stored, place.format) == sums, file.path().string(), ": what was read back isn't what was written (elements from ",
             range.begin, ")");
}

}  // namespace lawa
