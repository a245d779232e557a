#include "checkpoint/flat_file.hpp"

#include <algorithm>

#include "checkpoint/flat_file_layout.hpp"
#include "comm/mpi.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

using h5::Handle;

std::vector<uint64_t> block_checksums(std::span<const float> values) {
  std::vector<uint64_t> sums;
  for (size_t begin = 0; begin < values.size(); begin += block_size)
    sums.push_back(hash64(std::as_bytes(values.subspan(begin, std::min<size_t>(block_size, values.size() - begin)))));
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

/// Elements [range) of a dataset to or from memory.
template <class Transfer>
void transfer(hid_t dataset, int64_t size, Range range, Transfer&& call) {
  if (range.empty()) return;
  const Handle in_file = h5::selection(static_cast<hsize_t>(size), static_cast<hsize_t>(range.begin), static_cast<hsize_t>(range.end));
  const Handle in_memory = h5::space(static_cast<hsize_t>(range.size()));
  call(dataset, static_cast<hid_t>(in_memory), static_cast<hid_t>(in_file));
}

std::vector<uint64_t> read_checksums(hid_t file, const std::string& path, const std::string& array, int64_t size, Range blocks) {
  std::vector<uint64_t> sums(static_cast<size_t>(blocks.size()));
  const int64_t count = detail::block_count(size);
  const Handle dataset = detail::open_array(file, path, detail::checksums_name(array), count);
  transfer(dataset, count, blocks, [&](hid_t set, hid_t memory, hid_t selected) {
    LAWA_H5(path, H5Dread(set, H5T_NATIVE_UINT64, memory, selected, H5P_DEFAULT, sums.data()));
  });
  return sums;
}

}  // namespace

// ---- reading ---------------------------------------------------------------------------------------------------------------

struct FlatFileReader::State {
  std::string path;
  Handle file;
  FlatHeader header;
};

FlatFileReader::FlatFileReader(const std::filesystem::path& path, const std::string& kind) : state_(std::make_unique<State>()) {
  state_->path = path.string();
  LAWA_CHECK(std::filesystem::exists(path), path.string(), ": doesn't exist");
  state_->file = h5::open_for_reading(path.string());
  state_->header = detail::read_header(state_->file, path.string(), kind);
}
FlatFileReader::~FlatFileReader() = default;
FlatFileReader::FlatFileReader(FlatFileReader&&) noexcept = default;

const FlatHeader& FlatFileReader::header() const { return state_->header; }
const std::string& FlatFileReader::path() const { return state_->path; }

std::vector<std::string> FlatFileReader::arrays() const { return detail::array_names(state_->file, path()); }

void FlatFileReader::read(const std::string& array, Range range, std::span<float> out) const {
  const int64_t size = header().table.size();
  const Range blocks = blocks_of(range, size);
  LAWA_CHECK(static_cast<int64_t>(out.size()) == range.size(), "room for ", out.size(), " of ", range.size(), " elements");
  const Handle dataset = detail::open_array(state_->file, path(), "/" + array, size);
  transfer(dataset, size, range, [&](hid_t set, hid_t memory, hid_t selected) {
    LAWA_H5(path(), H5Dread(set, H5T_NATIVE_FLOAT, memory, selected, H5P_DEFAULT, out.data()));
  });
  const auto expected = read_checksums(state_->file, path(), array, size, blocks), found = block_checksums(out);
  const auto damaged = std::ranges::mismatch(expected, found).in1 - expected.begin();
  if (damaged == std::ssize(expected)) return;
  const int64_t begin = (blocks.begin + damaged) * block_size;
  std::string tensors;
  for (const auto& segment : header().table.segments({begin, begin + block_size}))
    tensors += (tensors.empty() ? "" : ", ") + segment.parameter->name;
  fail(__FILE__, __LINE__, path(), ": /", array, " is damaged in block ", blocks.begin + damaged, ", elements from ", begin, " (",
       tensors, "): its checksum doesn't verify");
}

std::string FlatFileReader::digest(const std::string& array) const {
  const int64_t size = header().table.size();
  const auto sums = read_checksums(state_->file, path(), array, size, {0, detail::block_count(size)});
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
                               const std::vector<std::string>& arrays, const WriteOptions& options)
    : state_(std::make_unique<State>()) {
  state_->comm = &comm;
  state_->part = part_of(path).string();
  state_->path = std::move(path);
  state_->size = header.table.size();
  state_->options = options;
  h5::be_quiet();
  comm.on_root([&] { detail::lay_out(state_->part, header, arrays); });
  const Handle access = h5::properties(H5P_FILE_ACCESS);
  LAWA_H5(state_->part, H5Pset_fapl_mpio(access, mpi_comm(comm), MPI_INFO_NULL));
  comm.together([&] { state_->file = Handle(LAWA_H5(state_->part, H5Fopen(state_->part.c_str(), H5F_ACC_RDWR, access)), H5Fclose); });
}

FlatFileWriter::~FlatFileWriter() = default;

// Independent transfers: each rank's parts are long and contiguous, and a failing rank can't leave the others in a collective.
void FlatFileWriter::write(const std::string& array, Range range, std::span<const float> values) {
  const int64_t size = state_->size, count = detail::block_count(size);
  const std::string& path = state_->part;
  LAWA_CHECK(static_cast<int64_t>(values.size()) == range.size(), values.size(), " values for ", range.size(), " elements");
  const Range blocks = blocks_of(range, size);
  const auto sums = block_checksums(values);
  const Handle dataset = detail::open_array(state_->file, path, "/" + array, size);
  const Handle checksums = detail::open_array(state_->file, path, detail::checksums_name(array), count);
  for (int64_t begin = range.begin; begin < range.end; begin += state_->options.transfer_elements) {
    const Range some{begin, std::min(begin + state_->options.transfer_elements, range.end)};
    transfer(dataset, size, some, [&](hid_t set, hid_t memory, hid_t selected) {
      LAWA_H5(path, H5Dwrite(set, H5T_NATIVE_FLOAT, memory, selected, H5P_DEFAULT, values.data() + (begin - range.begin)));
    });
  }
  transfer(checksums, count, blocks, [&](hid_t set, hid_t memory, hid_t selected) {
    LAWA_H5(path, H5Dwrite(set, H5T_NATIVE_UINT64, memory, selected, H5P_DEFAULT, sums.data()));
  });
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
