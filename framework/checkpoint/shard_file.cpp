#include "checkpoint/shard_file.hpp"

#include <algorithm>
#include <iterator>

#include "checkpoint/parallel_file.hpp"
#include "core/files.hpp"

namespace lawa {
namespace {

template <class T>
std::span<T> elements(const HostVector<T>& x, int64_t begin, int64_t count) {
  return {x.data() + begin, static_cast<size_t>(count)};
}

std::vector<ArraySpec> specs_of(const std::vector<HostArray>& arrays) {
  std::vector<ArraySpec> specs;
  for (const auto& [name, local, format] : arrays) specs.push_back({name, format});
  return specs;
}

/// The checksums of numbers as they are stored, a few blocks at a time.
std::vector<uint64_t> block_checksums(std::span<const float> numbers, NumberFormat format) {
  if (format == NumberFormat::float32) return lawa::block_checksums(std::as_bytes(numbers), format);
  constexpr size_t some = 16 * block_size;
  std::vector<uint64_t> sums;
  for (size_t begin = 0; begin < numbers.size(); begin += some)
    std::ranges::copy(lawa::block_checksums(from_floats(numbers.subspan(begin, std::min(some, numbers.size() - begin)), format), format), std::back_inserter(sums));
  return sums;
}

/// What each rank has of the blocks that it owns, by ascending block, on rank 0; nothing on the others. Collective.
std::vector<uint64_t> gather_in_order(const Communicator& comm, const ShardLayout& layout, const std::vector<uint64_t>& mine) {
  const std::vector<uint64_t> all = comm.gather_on(0, mine);
  std::vector<uint64_t> sorted(all.size());
  if (all.empty()) return sorted;
  auto from = all.begin();
  for (int rank = 0; rank < comm.size(); ++rank)
    for (const auto& owned : layout.owned(rank)) {
      const int64_t blocks = block_count(owned.range.size());
      std::copy_n(from, blocks, sorted.begin() + owned.range.begin / block_size);
      from += blocks;
    }
  return sorted;
}

std::vector<std::byte> stored_numbers(std::span<const float> numbers, NumberFormat format) { return from_floats(numbers, format); }
std::vector<std::byte> stored_numbers(std::span<const double> numbers, NumberFormat) {
  const auto bytes = std::as_bytes(numbers);
  return {bytes.begin(), bytes.end()};
}

template <class T>
HostVector<T> copied(const Vector<T>& array) {
  const auto copy_of_it = uninitialised<T, HostMemory>("lawa::to_be_saved", rows(array));
  copy(copy_of_it, array);
  return copy_of_it;
}

}  // namespace

std::vector<HostArray> on_host(const std::vector<ShardArray>& arrays, bool keep) {
  std::vector<HostArray> all;
  for (const ShardArray& array : arrays)
    std::visit([&]<class T>(const Vector<T>& local) {
      const NumberFormat format = std::is_same_v<T, double> ? NumberFormat::float64 : array.format;
      all.push_back({array.name, keep && !array.constant ? copied(local) : on_host(local), format});
    }, array.local);
  return all;
}

// ---- writing ---------------------------------------------------------------------------------------------------------------

ShardFile::ShardFile(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header, const ShardLayout& layout,
                     std::vector<HostArray> arrays, const WriteOptions& options)
    : comm_(&comm), layout_(&layout), options_(options), arrays_(std::move(arrays)), part_(part_of(path)), guard_(path, comm.root()) {
  const Json places = from_root(comm, [&] {
    file_ = lay_out_flat_file(path, header, specs_of(arrays_));
    return file_.to_json().at("arrays");
  });
  for (const auto& [name, array] : places.items()) file_.arrays[name] = Places::from_json(array);
  if (options.through_hdf5) through_hdf5_.emplace(comm, part_, options.hints);
}

void ShardFile::write() {
  for (const HostArray& array : arrays_) checksums_[array.name] = through_hdf5_ ? write_together(array) : write_alone(array);
  if (through_hdf5_) through_hdf5_->close();
}

// Both return the checksums of what this rank owns.

std::vector<uint64_t> ShardFile::write_alone(const HostArray& array) const {
  OpenFiles open(ByteFile::Mode::update);
  PlacedWriter writer(open, part_, file_.places(array.name));
  std::visit([&]<class T>(const HostVector<T>& local) {
    for (const auto& [range, begin] : layout_->mine()) writer.write(range, std::span<const T>(elements(local, begin, range.size())));
  }, array.local);
  open.close_all();
  return writer.checksums();
}

std::vector<uint64_t> ShardFile::write_together(const HostArray& array) {
  std::vector<std::byte> stored;
  std::vector<Range> ranges;
  std::vector<uint64_t> sums;
  comm_->together([&] {
    stored = std::visit([&]<class T>(const HostVector<T>& local) {
      return stored_numbers(std::span<const T>(elements(local, 0, layout_->mine_size())), array.format);
    }, array.local);
    for (const auto& [range, begin] : layout_->mine()) {
      ranges.push_back(range);
      const auto here = std::span<const std::byte>(stored).subspan(static_cast<size_t>(begin * bytes_of(array.format)),
                                                                   static_cast<size_t>(range.size() * bytes_of(array.format)));
      std::ranges::copy(block_checksums(here, array.format), std::back_inserter(sums));
    }
  });
  through_hdf5_->write(array.name, array.format, ranges, stored, layout_->local_size(), options_.transfer_elements);
  return sums;
}

void ShardFile::make_durable() const {
  if (comm_->nodes() > 1 && comm_->rank_on_node() == 0) lawa::make_durable(part_);
}

void ShardFile::gather_checksums() {
  for (auto& [array, sums] : checksums_) sums = gather_in_order(*comm_, *layout_, sums);
}

FileRecord ShardFile::seal() { return seal_flat_file(file_, checksums_, options_.fsync); }

void check_same_layout(const ParameterTable& file, const ParameterTable& model, const std::string& path) {
  if (file.same_layout(model)) return;
  const auto &a = file.parameters(), &b = model.parameters();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    LAWA_CHECK(a[i].name == b[i].name && a[i].shape == b[i].shape, path, ": is of another model: tensor ", a[i].name, " ",
               Json(a[i].shape).dump(), " where this model has ", b[i].name, " ", Json(b[i].shape).dump());
  fail(__FILE__, __LINE__, path, ": is of another model: ", a.size(), " tensors where this model has ", b.size());
}

std::pair<std::string, std::string> hint_of(const std::string& text, const std::string& place) {
  const size_t equals = text.find('=');
  LAWA_CHECK(equals != text.npos && equals > 0 && equals + 1 < text.size(), place, ": \"", text, "\" isn't of the form name=value");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

FileRecord write_shards(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header,
                        const ShardLayout& layout, const std::vector<ShardArray>& arrays, const WriteOptions& options) {
  ShardFile file(comm, path, header, layout, on_host(arrays, false), options);
  if (options.through_hdf5) file.write();
  else comm.together([&] { file.write(); });
  comm.together([&] { file.make_durable(); });
  file.gather_checksums();
  return FileRecord::from_json(from_root(comm, [&] { return file.seal().to_json(); }), path.string());
}

Json from_root(const Communicator& comm, const std::function<Json()>& find) {
  std::string text;
  comm.on_root([&] { text = find().dump(); });
  return Json::parse(comm.broadcast(text));
}

PlacedFile open_on_root(const Communicator& comm, const std::function<PlacedFile()>& open) {
  return PlacedFile::from_json(from_root(comm, [&] { return open().to_json(); }));
}

void read_shard(const PlacedFile& file, const ShardLayout& layout, const ShardArray& array) {
  OpenFiles open(ByteFile::Mode::read);
  PlacedReader reader(open, file.path, file.places(array.name), file.header.table, array.name);
  std::visit([&]<class T>(const Vector<T>& device) {
    const HostVector<T> local = on_host(device);
    for (const auto& [range, begin] : layout.mine()) reader.read(range, elements(local, begin, range.size()));
    copy(device, local);
  }, array.local);
}

PlacedFile read_shards(const Communicator& comm, const std::filesystem::path& path, const std::string& kind,
                       const ParameterTable& table, const ShardLayout& layout, const std::vector<ShardArray>& arrays) {
  const PlacedFile file = open_on_root(comm, [&] { return open_flat_file(path, kind); });
  comm.together([&] {
    check_same_layout(file.header.table, table, path.string());
    for (const ShardArray& array : arrays) read_shard(file, layout, array);
  });
  return file;
}

std::string digest_of_shards(const Communicator& comm, const ShardLayout& layout, const Vector<float>& local, NumberFormat format) {
  const HostVector<float> values = on_host(local);
  std::vector<uint64_t> sums;
  for (const auto& [range, begin] : layout.mine())
    std::ranges::copy(block_checksums(std::span<const float>(elements(values, begin, range.size())), format), std::back_inserter(sums));
  const std::vector<uint64_t> all = gather_in_order(comm, layout, sums);
  return comm.broadcast(comm.root() ? digest_of(all) : "");
}

}  // namespace lawa
