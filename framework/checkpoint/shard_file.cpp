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

std::vector<ArraySpec> specs_of(const std::vector<ShardArray>& arrays) {
  std::vector<ArraySpec> specs;
  for (const auto& [name, local, format] : arrays)
    specs.push_back({name, std::holds_alternative<Vector<double>>(local) ? NumberFormat::float64 : format});
  return specs;
}

std::vector<std::byte> stored_numbers(std::span<const float> numbers, NumberFormat format) { return from_floats(numbers, format); }
std::vector<std::byte> stored_numbers(std::span<const double> numbers, NumberFormat) {
  const auto bytes = std::as_bytes(numbers);
  return {bytes.begin(), bytes.end()};
}

/// One file that is being written with all ranks.
class ShardWriter {
 public:
  ShardWriter(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header, const ShardLayout& layout,
              const std::vector<ShardArray>& arrays, const WriteOptions& options)
      : comm_(comm), layout_(layout), options_(options), part_(part_of(path)), guard_(path, comm.root()) {
    const Json places = from_root(comm, [&] {
      file_ = lay_out_flat_file(path, header, specs_of(arrays));
      return file_.to_json().at("arrays");
    });
    for (const auto& [name, array] : places.items()) file_.arrays[name] = Places::from_json(array);
    if (options.through_hdf5) through_hdf5_.emplace(comm, part_, options.hints);
  }

  template <class T>
  void write(const std::string& array, const Vector<T>& device) {
    gather_checksums(array, through_hdf5_ ? write_together(array, device) : write_alone(array, device));
  }

  FileRecord commit() {
    if (through_hdf5_) through_hdf5_->close();
    if (options_.fsync || comm_.nodes() > 1) comm_.together([&] {  // each node has written pages of its own
      if (comm_.rank_on_node() == 0) make_durable(part_);
    });
    return FileRecord::from_json(from_root(comm_, [&] { return seal_flat_file(file_, checksums_, options_.fsync).to_json(); }), part_.string());
  }

 private:
  // Both return the checksums of what this rank owns.

  template <class T>
  std::vector<uint64_t> write_alone(const std::string& array, const Vector<T>& device) {
    OpenFiles open(ByteFile::Mode::update);
    PlacedWriter writer(open, part_, file_.places(array));
    comm_.together([&] {
      const HostVector<T> local = on_host(device);
      for (const auto& [range, begin] : layout_.mine()) writer.write(range, std::span<const T>(elements(local, begin, range.size())));
      open.close_all();
    });
    return writer.checksums();
  }

  template <class T>
  std::vector<uint64_t> write_together(const std::string& array, const Vector<T>& device) {
    const NumberFormat format = file_.places(array).format();
    std::vector<std::byte> stored;
    std::vector<Range> ranges;
    std::vector<uint64_t> sums;
    comm_.together([&] {
      const HostVector<T> local = on_host(device);
      const std::span<const T> mine = elements(local, 0, layout_.mine_size());
      stored = stored_numbers(mine, format);
      for (const auto& [range, begin] : layout_.mine()) {
        ranges.push_back(range);
        const auto here = std::span<const std::byte>(stored).subspan(static_cast<size_t>(begin * bytes_of(format)),
                                                                     static_cast<size_t>(range.size() * bytes_of(format)));
        std::ranges::copy(block_checksums(here, format), std::back_inserter(sums));
      }
    });
    through_hdf5_->write(array, format, ranges, stored, layout_.local_size(), options_.transfer_elements);
    return sums;
  }

  /// Every rank's checksums, at their places, on rank 0, which will write them at once.
  void gather_checksums(const std::string& array, const std::vector<uint64_t>& mine) {
    const std::vector<uint64_t> all = comm_.gather_on(0, mine);
    if (!comm_.root()) return;
    std::vector<uint64_t>& sums = checksums_[array];
    sums.resize(all.size());
    auto from = all.begin();
    for (int rank = 0; rank < comm_.size(); ++rank)
      for (const auto& owned : layout_.owned(rank)) {
        const int64_t blocks = block_count(owned.range.size());
        std::copy_n(from, blocks, sums.begin() + owned.range.begin / block_size);
        from += blocks;
      }
  }

  const Communicator& comm_;
  const ShardLayout& layout_;
  const WriteOptions& options_;
  std::filesystem::path part_;
  PartGuard guard_;
  PlacedFile file_{};  ///< on ranks other than 0, its arrays only
  std::optional<ParallelFile> through_hdf5_;
  std::map<std::string, std::vector<uint64_t>> checksums_;  ///< on rank 0
};

}  // namespace

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
  ShardWriter writer(comm, path, header, layout, arrays, options);
  for (const ShardArray& array : arrays)
    std::visit([&](const auto& device) { writer.write(array.name, device); }, array.local);
  return writer.commit();
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

FlatHeader read_shards(const Communicator& comm, const std::filesystem::path& path, const std::string& kind,
                       const ParameterTable& table, const ShardLayout& layout, const std::vector<ShardArray>& arrays) {
  const PlacedFile file = open_on_root(comm, [&] { return open_flat_file(path, kind); });
  comm.together([&] {
    check_same_layout(file.header.table, table, path.string());
    for (const ShardArray& array : arrays) read_shard(file, layout, array);
  });
  return file.header;
}

}  // namespace lawa
