#include "checkpoint/flat_file.hpp"

#include <algorithm>

#include "checkpoint/flat_file_layout.hpp"
#include "comm/mpi.hpp"
#include "core/byte_file.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

using h5::Handle;

std::vector<uint64_t> block_checksums(std::span<const std::byte> stored, NumberFormat format) {
  const auto block = static_cast<size_t>(block_size * bytes_of(format));
  std::vector<uint64_t> sums;
  for (size_t begin = 0; begin < stored.size(); begin += block)
    sums.push_back(hash64(stored.subspan(begin, std::min(block, stored.size() - begin))));
  return sums;
}

namespace {

/// The blocks of a range that begins and ends between blocks (or at the very end).
Range blocks_of(Range range, int64_t size) {
  LAWA_CHECK(range.begin >= 0 && range.end <= size && range.begin % block_size == 0 &&
                 (range.end % block_size == 0 || range.end == size),
             "elements [", range.begin, ", ", range.end, ") of ", size, " are not whole blocks of ", block_size);
  return {range.begin / block_size, detail::block_count(range.end)};
}

}  // namespace

// ---- reading: HDF5 says where the arrays lie, plain reads fetch them ---------------------------------------------------------

struct FlatFileReader::State {
  ByteFile file;
  FlatHeader header;
  std::map<std::string, ArrayPlace> places;

  std::vector<uint64_t> checksums(const ArrayPlace& place, Range blocks) const {
    std::vector<uint64_t> sums(static_cast<size_t>(blocks.size()));
    file.read(place.checksums + blocks.begin * static_cast<int64_t>(sizeof(uint64_t)), std::as_writable_bytes(std::span(sums)));
    return sums;
  }
};

FlatFileReader::FlatFileReader(const std::filesystem::path& path, const std::string& kind) {
  LAWA_CHECK(std::filesystem::exists(path), path.string(), ": doesn't exist");
  const Handle file = h5::open_for_reading(path.string());
  FlatHeader header = detail::read_header(file, path.string(), kind);
  auto places = detail::array_places(file, path.string(), header.table.size());
  state_ = std::make_unique<State>(State{ByteFile(path, ByteFile::Mode::read), std::move(header), std::move(places)});
}
FlatFileReader::~FlatFileReader() = default;
FlatFileReader::FlatFileReader(FlatFileReader&&) noexcept = default;

const FlatHeader& FlatFileReader::header() const { return state_->header; }
const std::string& FlatFileReader::path() const { return state_->file.path().native(); }

std::vector<std::string> FlatFileReader::arrays() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : state_->places) names.push_back(name);
  return names;
}

const ArrayPlace& FlatFileReader::place(const std::string& array) const {
  const auto found = state_->places.find(array);
  LAWA_CHECK(found != state_->places.end(), path(), ": has no array /", array);
  return found->second;
}
NumberFormat FlatFileReader::format(const std::string& array) const { return place(array).format; }

void FlatFileReader::read_stored(const std::string& array, Range range, std::span<std::byte> out) const {
  const ArrayPlace& at = place(array);
  const Range blocks = blocks_of(range, header().table.size());
  LAWA_CHECK(std::ssize(out) == range.size() * bytes_of(at.format), "room for ", out.size(), " bytes of ", range.size(), " elements");
  state_->file.read(at.values + range.begin * bytes_of(at.format), out);
  const auto expected = state_->checksums(at, blocks), found = block_checksums(out, at.format);
  const auto damaged = std::ranges::mismatch(expected, found).in1 - expected.begin();
  if (damaged == std::ssize(expected)) return;
  const int64_t begin = (blocks.begin + damaged) * block_size;
  std::string tensors;
  for (const auto& segment : header().table.segments({begin, begin + block_size}))
    tensors += (tensors.empty() ? "" : ", ") + segment.parameter->name;
  fail(__FILE__, __LINE__, path(), ": /", array, " is damaged in block ", blocks.begin + damaged, ", elements from ", begin, " (",
       tensors, "): its checksum doesn't verify");
}

void FlatFileReader::read(const std::string& array, Range range, std::span<float> out) const {
  const NumberFormat stored_as = format(array);
  LAWA_CHECK(std::ssize(out) == range.size(), "room for ", out.size(), " of ", range.size(), " elements");
  LAWA_CHECK(stored_as != NumberFormat::float64, path(), ": /", array, " holds float64");
  if (stored_as == NumberFormat::float32) return read_stored(array, range, std::as_writable_bytes(out));
  std::vector<std::byte> stored(out.size() * static_cast<size_t>(bytes_of(stored_as)));
  read_stored(array, range, stored);
  to_floats(stored, stored_as, out);
}

void FlatFileReader::read(const std::string& array, Range range, std::span<double> out) const {
  LAWA_CHECK(format(array) == NumberFormat::float64, path(), ": /", array, " holds ", name_of(format(array)), ", not float64");
  read_stored(array, range, std::as_writable_bytes(out));
}

std::string FlatFileReader::digest(const std::string& array) const {
  const auto sums = state_->checksums(place(array), {0, detail::block_count(header().table.size())});
  Digest digest;
  digest.add(std::as_bytes(std::span(sums)));
  return digest.hex();
}

FileRecord commit_flat_file(const std::filesystem::path& path, bool durably) {
  const auto ranges = detail::byte_ranges(part_of(path));
  commit_file(path, durably);
  return describe_file(path, ranges);
}

// ---- writing ---------------------------------------------------------------------------------------------------------------

struct FlatFileWriter::State {
  const Communicator* comm;
  std::filesystem::path path;
  std::string part;
  int64_t size;
  std::vector<ArraySpec> arrays;
  WriteOptions options;
  Handle file;
  bool committed = false;

  ~State() {
    file.close();
    std::error_code ignored;
    if (!committed && comm->root()) std::filesystem::remove(part, ignored);
  }
};

FlatFileWriter::FlatFileWriter(const Communicator& comm, std::filesystem::path path, const FlatHeader& header,
                               const std::vector<ArraySpec>& arrays, const WriteOptions& options)
    : state_(std::make_unique<State>()) {
  state_->comm = &comm;
  state_->part = part_of(path).string();
  state_->path = std::move(path);
  state_->size = header.table.size();
  state_->arrays = arrays;
  state_->options = options;
  h5::be_quiet();
  comm.on_root([&] { detail::lay_out(state_->part, header, arrays); });
  const Handle access = h5::properties(H5P_FILE_ACCESS);
  LAWA_H5(state_->part, H5Pset_fapl_mpio(access, mpi_comm(comm), MPI_INFO_NULL));
  comm.together([&] { state_->file = Handle(LAWA_H5(state_->part, H5Fopen(state_->part.c_str(), H5F_ACC_RDWR, access)), H5Fclose); });
}

FlatFileWriter::~FlatFileWriter() = default;

namespace {

/// Writes elements [range) of a dataset.
void write_elements(hid_t dataset, const std::string& path, hid_t type, int64_t size, Range range, const void* values) {
  if (range.empty()) return;
  const Handle in_file = h5::selection(static_cast<hsize_t>(size), static_cast<hsize_t>(range.begin), static_cast<hsize_t>(range.end));
  const Handle in_memory = h5::space(static_cast<hsize_t>(range.size()));
  LAWA_H5(path, H5Dwrite(dataset, type, in_memory, in_file, H5P_DEFAULT, values));
}

}  // namespace

NumberFormat FlatFileWriter::format(const std::string& array) const {
  const auto found = std::ranges::find(state_->arrays, array, &ArraySpec::name);
  LAWA_CHECK(found != state_->arrays.end(), state_->part, ": was laid out without an array ", array);
  return found->format;
}

// Independent transfers: each rank's parts are long and contiguous, and a failing rank can't leave the others in a collective.
void FlatFileWriter::write_stored(const std::string& array, Range range, std::span<const std::byte> stored) {
  const NumberFormat stored_as = format(array);
  const int64_t size = state_->size, count = detail::block_count(size), width = bytes_of(stored_as);
  const std::string& path = state_->part;
  LAWA_CHECK(std::ssize(stored) == range.size() * width, stored.size(), " bytes for ", range.size(), " elements");
  const Range blocks = blocks_of(range, size);
  const auto sums = block_checksums(stored, stored_as);
  const Handle dataset = detail::open_array(state_->file, path, "/" + array, size), type = h5::number_type(stored_as);
  const Handle checksums = detail::open_array(state_->file, path, detail::checksums_name(array), count);
  for (int64_t begin = range.begin; begin < range.end; begin += state_->options.transfer_elements) {
    const Range some{begin, std::min(begin + state_->options.transfer_elements, range.end)};
    write_elements(dataset, path, type, size, some, stored.data() + (begin - range.begin) * width);
  }
  write_elements(checksums, path, H5T_STD_U64LE, count, blocks, sums.data());
}

void FlatFileWriter::write(const std::string& array, Range range, std::span<const float> values) {
  if (format(array) == NumberFormat::float32) return write_stored(array, range, std::as_bytes(values));
  std::vector<std::byte> stored(values.size() * static_cast<size_t>(bytes_of(format(array))));
  from_floats(values, format(array), stored);
  write_stored(array, range, stored);
}

void FlatFileWriter::write(const std::string& array, Range range, std::span<const double> values) {
  LAWA_CHECK(format(array) == NumberFormat::float64, state_->part, ": ", array, " holds ", name_of(format(array)), ", not float64");
  write_stored(array, range, std::as_bytes(values));
}

FileRecord FlatFileWriter::commit() {
  const Communicator& comm = *state_->comm;
  comm.together([&] { LAWA_H5(state_->part, state_->file.close()); });
  if (state_->options.fsync) comm.together([&] { make_durable(state_->part); });  // each node has written pages of its own
  std::string record;
  comm.on_root([&] {
    record = commit_flat_file(state_->path, state_->options.fsync).to_json().dump();
    state_->committed = true;
  });
  return FileRecord::from_json(Json::parse(comm.broadcast(record)), state_->path.string());
}

}  // namespace lawa
