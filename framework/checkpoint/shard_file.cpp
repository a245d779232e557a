#include "checkpoint/shard_file.hpp"

#include <algorithm>

namespace lawa {
namespace {

template <class T>
std::span<T> elements(const HostVector<T>& x, int64_t begin, int64_t count) {
  return {x.data() + begin, static_cast<size_t>(count)};
}

/// Names the first tensor in which two tables differ.
void check_same_layout(const ParameterTable& file, const ParameterTable& model, const std::string& path) {
  if (file.same_layout(model)) return;
  const auto &a = file.parameters(), &b = model.parameters();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    LAWA_CHECK(a[i].name == b[i].name && a[i].shape == b[i].shape, path, ": is of another model: tensor ", a[i].name, " ",
               Json(a[i].shape).dump(), " where this model has ", b[i].name, " ", Json(b[i].shape).dump());
  fail(__FILE__, __LINE__, path, ": is of another model: ", a.size(), " tensors where this model has ", b.size());
}

}  // namespace

FileRecord write_shards(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header,
                        const ShardLayout& layout, const std::vector<ShardArray>& arrays, const WriteOptions& options) {
  std::vector<ArraySpec> specs;
  for (const auto& [name, local, format] : arrays)
    specs.push_back({name, std::holds_alternative<Vector<double>>(local) ? NumberFormat::float64 : format});
  FlatFileWriter writer(comm, path, header, specs, options);
  comm.together([&] {
    for (const ShardArray& array : arrays)
      std::visit([&]<class T>(const Vector<T>& device) {
        const HostVector<T> local = on_host(device);
        for (const auto& [range, begin] : layout.mine())
          writer.write(array.name, range, std::span<const T>(elements(local, begin, range.size())));
      }, array.local);
  });
  return writer.commit();
}

FlatHeader read_shards(const Communicator& comm, const std::filesystem::path& path, const std::string& kind,
                       const ParameterTable& table, const ShardLayout& layout, const std::vector<ShardArray>& arrays) {
  FlatHeader header;
  comm.together([&] {
    const FlatFileReader reader(path, kind);
    header = reader.header();
    check_same_layout(header.table, table, path.string());
    for (const ShardArray& array : arrays)
      std::visit([&]<class T>(const Vector<T>& device) {
        const HostVector<T> local = on_host(device);
        for (const auto& [range, begin] : layout.mine()) reader.read(array.name, range, elements(local, begin, range.size()));
        copy(device, local);
      }, array.local);
  });
  return header;
}

FlatHeader weights_info(const Communicator& comm, const std::filesystem::path& path) {
  FlatHeader header;
  comm.on_root([&] { verify_by_record(path); });
  comm.together([&] { header = FlatFileReader(path, "weights").header(); });
  return header;
}

}  // namespace lawa
