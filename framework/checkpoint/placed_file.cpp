#include "checkpoint/placed_file.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

Json FlatHeader::to_json() const {
  return {{"kind", kind},       {"step", step}, {"trained_tokens", trained_tokens}, {"trajectory_hash", trajectory_hash},
          {"config_hash", config_hash}, {"git", git},   {"table", table.to_json()},         {"config", config},
          {"provenance", provenance}};
}

FlatHeader FlatHeader::from_json(const Json& json, const std::string& place) {
  return {.kind = json.at("kind"), .step = json.at("step"), .trained_tokens = json.at("trained_tokens"),
          .trajectory_hash = json.at("trajectory_hash"), .config_hash = json.at("config_hash"), .git = json.at("git"),
          .table = ParameterTable::from_json(json.at("table"), place), .config = json.at("config"), .provenance = json.at("provenance")};
}

// ---- places ----------------------------------------------------------------------------------------------------------------

std::vector<Segment>::const_iterator Places::first_behind(int64_t element) const {
  return std::ranges::upper_bound(segments, element, {}, [](const Segment& segment) { return segment.elements.end; });
}

bool Places::one_format() const {
  return !segments.empty() && std::ranges::all_of(segments, [&](const Segment& segment) { return segment.format == segments[0].format; });
}

std::vector<std::filesystem::path> Places::files_of(const std::filesystem::path& path) const {
  std::vector<std::filesystem::path> paths;
  for (const std::string& file : files) paths.push_back(path / file);
  return paths.empty() ? std::vector{path} : paths;
}

Places Places::of_tensors(const ParameterTable& wanted, const ParameterTable& from) const {
  std::map<std::string, const Parameter*> named;
  for (const Parameter& parameter : from.parameters()) named[parameter.name] = &parameter;
  Places places{.files = files};
  for (const Parameter& parameter : wanted.parameters())
    for_each_part(named.at(parameter.name)->range(), [&](const Part& part) {
      places.segments.push_back({{places.size(), places.size() + part.elements}, part.offset, part.format, part.file,
                                 part.transposed ? part.transposed->rows : 0});
    });
  return places;
}

NumberFormat Places::format() const {
  LAWA_CHECK(one_format(), "an array in several formats, or in none");
  return segments[0].format;
}

int64_t Places::bytes(Range elements) const {
  int64_t all = 0;
  for_each_part(elements, [&](const Part& part) { all += part.bytes(); });
  return all;
}

Json Places::to_json() const {
  Json list = Json::array();
  for (const Segment& segment : segments)
    list.push_back({segment.elements.end, segment.offset, segment.format, segment.file, segment.transposed_rows});
  return {list, files, checksums ? Json(*checksums) : Json()};
}

Places Places::from_json(const Json& json) {
  Places places;
  for (const Json& entry : json.at(0))
    places.segments.push_back({{places.size(), entry.at(0)}, entry.at(1), entry.at(2), entry.at(3), entry.at(4)});
  places.files = json.at(1).get<std::vector<std::string>>();
  if (!json.at(2).is_null()) places.checksums = json.at(2).get<int64_t>();
  return places;
}

const Places& PlacedFile::places(const std::string& array) const {
  const auto found = arrays.find(array);
  LAWA_CHECK(found != arrays.end(), path.string(), header.kind.empty() ? ": " : ": is a " + header.kind + " file and ", "has no array /", array);
  return found->second;
}

Json PlacedFile::to_json() const {
  Json places = Json::object();
  for (const auto& [name, array] : arrays) places[name] = array.to_json();
  return {{"path", path.string()}, {"header", header.to_json()}, {"arrays", places}, {"digest", digest}, {"average", average}, {"means", means.to_json()}};
}

PlacedFile PlacedFile::from_json(const Json& json) {
  const std::string path = json.at("path");
  PlacedFile file{.path = path, .header = FlatHeader::from_json(json.at("header"), path), .arrays = {}, .digest = json.at("digest"),
                  .average = json.at("average"), .means = ParameterTable::from_json(json.at("means"), path)};
  for (const auto& [name, places] : json.at("arrays").items()) file.arrays.emplace(name, Places::from_json(places));
  return file;
}

// ---- checksums -------------------------------------------------------------------------------------------------------------

int64_t block_count(int64_t size) { return (size + block_size - 1) / block_size; }

std::vector<uint64_t> block_checksums(std::span<const std::byte> stored, NumberFormat format) {
  const auto block = static_cast<size_t>(block_size * bytes_of(format));
  std::vector<uint64_t> sums;
  for (size_t begin = 0; begin < stored.size(); begin += block)
    sums.push_back(hash64(stored.subspan(begin, std::min(block, stored.size() - begin))));
  return sums;
}

std::string digest_of(std::span<const uint64_t> checksums) {
  Digest digest;
  digest.add(std::as_bytes(checksums));
  return digest.hex();
}

namespace {

/// Errors: the range doesn't begin and end between blocks (or at the very end).
void check_whole_blocks(Range range, int64_t size) {
  LAWA_CHECK(range.begin >= 0 && range.end <= size && range.begin % block_size == 0 && (range.end % block_size == 0 || range.end == size),
             "elements [", range.begin, ", ", range.end, ") of ", size, " are not whole blocks of ", block_size);
}

/// A part's bytes among those of its range.
template <class Byte>
std::span<Byte> bytes_in(std::span<Byte> range, const Places::Part& part) {
  return range.subspan(static_cast<size_t>(part.bytes_before), static_cast<size_t>(part.bytes()));
}

void read_part(const ByteFile& file, const Places::Part& part, std::span<std::byte> out) {
  if (part.transposed) return read_transposed(file, *part.transposed, out);
  file.read(part.offset, out);
}
void write_part(const ByteFile& file, const Places::Part& part, std::span<const std::byte> stored) {
  if (part.transposed) return write_transposed(file, *part.transposed, stored);
  file.write(part.offset, stored);
}

}  // namespace

// ---- reading ---------------------------------------------------------------------------------------------------------------

PlacedReader::PlacedReader(OpenFiles& open, std::filesystem::path path, const Places& places, const ParameterTable& table,
                           std::string array)
    : open_(open), path_(std::move(path)), files_(places.files_of(path_)), places_(places), table_(table), array_(std::move(array)) {}

/// Into `out`, if the stored bytes are as many and in one format, else into room of its own.
std::span<const std::byte> PlacedReader::read_stored(Range range, std::span<std::byte> out) {
  if (places_.checksums) check_whole_blocks(range, places_.size());
  const int64_t bytes = places_.bytes(range);
  std::optional<NumberFormat> format;
  bool one_format = true;  // float64 beside float16 may have as many bytes as float32
  places_.for_each_part(range, [&](const Places::Part& part) { one_format &= format.value_or(part.format) == part.format, format = part.format; });
  if (bytes != std::ssize(out) || !one_format) {
    stored_.resize(static_cast<size_t>(bytes));
    out = stored_;
  }
  places_.for_each_part(range, [&](const Places::Part& part) { read_part(open_[files_[part.file]], part, bytes_in(out, part)); });
  bytes_ += bytes;
  if (places_.checksums) verify(range, out);
  return out;
}

void PlacedReader::verify(Range range, std::span<const std::byte> stored) const {
  const int64_t first = range.begin / block_size;
  const auto found = block_checksums(stored, places_.format());
  std::vector<uint64_t> expected(found.size());
  open_[path_].read(*places_.checksums + first * static_cast<int64_t>(sizeof(uint64_t)), std::as_writable_bytes(std::span(expected)));
  const auto damaged = std::ranges::mismatch(expected, found).in1 - expected.begin();
  if (damaged == std::ssize(expected)) return;
  const int64_t begin = (first + damaged) * block_size;
  std::string tensors;
  for (const auto& segment : table_.segments({begin, begin + block_size}))
    tensors += (tensors.empty() ? "" : ", ") + segment.parameter->name;
  fail(__FILE__, __LINE__, path_.string(), ": /", array_, " is damaged in block ", first + damaged, ", elements from ", begin, " (",
       tensors, "): its checksum doesn't verify");
}

void PlacedReader::read(Range range, std::span<float> out) {
  LAWA_CHECK(std::ssize(out) == range.size(), "room for ", out.size(), " of ", range.size(), " elements");
  LAWA_CHECK(!places_.checksums || places_.format() != NumberFormat::float64, path_.string(), ": /", array_, " holds float64");
  const auto stored = read_stored(range, std::as_writable_bytes(out));
  if (stored.data() == std::as_bytes(out).data()) return;
  places_.for_each_part(range, [&](const Places::Part& part) {
    const auto floats = out.subspan(static_cast<size_t>(part.before), static_cast<size_t>(part.elements));
    to_floats(bytes_in(stored, part), part.format, floats);
    if (part.format == NumberFormat::float64) check_narrowed(part, bytes_in(stored, part), floats, range.begin + part.before);
  });
}

/// Errors: a finite float64 has become infinite. `begin`: the element that the part begins with.
void PlacedReader::check_narrowed(const Places::Part& part, std::span<const std::byte> stored, std::span<const float> floats, int64_t begin) const {
  for (size_t i = 0; i < floats.size(); ++i) {
    if (std::isfinite(floats[i])) continue;
    double number = 0;
    std::memcpy(&number, stored.data() + i * sizeof number, sizeof number);
    LAWA_CHECK(!std::isfinite(number), files_[part.file].string(), ": ", table_.at(begin + static_cast<int64_t>(i)).name, " holds ", Json(number).dump(),
               ", and it is read as float32, whose largest number is ", largest_of(NumberFormat::float32));
  }
}

void PlacedReader::read(Range range, std::span<double> out) {
  LAWA_CHECK(places_.format() == NumberFormat::float64, path_.string(), ": /", array_, " holds ", name_of(places_.format()), ", not float64");
  LAWA_CHECK(std::ssize(out) == range.size(), "room for ", out.size(), " of ", range.size(), " elements");
  read_stored(range, std::as_writable_bytes(out));
}

std::vector<uint64_t> PlacedReader::checksums_of(Range range) {
  constexpr int64_t some_elements = 16 * block_size;
  std::vector<uint64_t> sums;
  for (int64_t begin = range.begin; begin < range.end; begin += some_elements) {
    const auto stored = read_stored({begin, std::min(begin + some_elements, range.end)}, {});
    std::ranges::copy(block_checksums(stored, places_.format()), std::back_inserter(sums));
  }
  return sums;
}

// ---- writing ---------------------------------------------------------------------------------------------------------------

PlacedWriter::PlacedWriter(OpenFiles& open, const std::filesystem::path& part, Places places)
    : open_(open), places_(std::move(places)), files_(places_.files_of(part)) {}

void PlacedWriter::write_stored(Range range, std::span<const std::byte> stored) {
  check_whole_blocks(range, places_.size());
  LAWA_CHECK(std::ssize(stored) == places_.bytes(range), stored.size(), " bytes for ", range.size(), " elements");
  checksums_[range.begin] = block_checksums(stored, places_.format());
  places_.for_each_part(range, [&](const Places::Part& part) { write_part(open_[files_[part.file]], part, bytes_in(stored, part)); });
}

void PlacedWriter::write(Range range, std::span<const float> values) {
  if (places_.format() == NumberFormat::float32) return write_stored(range, std::as_bytes(values));
  stored_.resize(values.size() * static_cast<size_t>(bytes_of(places_.format())));
  from_floats(values, places_.format(), stored_);
  write_stored(range, stored_);
}

void PlacedWriter::write(Range range, std::span<const double> values) {
  LAWA_CHECK(places_.format() == NumberFormat::float64, files_[0].string(), ": holds ", name_of(places_.format()), ", not float64");
  write_stored(range, std::as_bytes(values));
}

void PlacedWriter::begin_writing_back(Range range) const {
  places_.for_each_part(range, [&](const Places::Part& part) { open_[files_[part.file]].begin_writing_back(part.place().begin, part.place().size()); });
}

void PlacedWriter::bring_back(Range range) const {
  places_.for_each_part(range, [&](const Places::Part& part) { open_[files_[part.file]].bring_back(part.place().begin, part.place().size()); });
}

void PlacedWriter::verify(Range range) {
  stored_.resize(static_cast<size_t>(places_.bytes(range)));
  places_.for_each_part(range, [&](const Places::Part& part) { read_part(open_[files_[part.file]], part, bytes_in(std::span(stored_), part)); });
  LAWA_CHECK(block_checksums(stored_, places_.format()) == checksums_.at(range.begin), files_[0].string(),
             ": what was read back isn't what was written (elements from ", range.begin, ")");
}

std::vector<uint64_t> PlacedWriter::checksums() const {
  std::vector<uint64_t> all;
  for (const auto& [begin, sums] : checksums_) all.insert(all.end(), sums.begin(), sums.end());
  return all;
}

}  // namespace lawa
