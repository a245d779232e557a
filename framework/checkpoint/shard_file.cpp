#include "checkpoint/shard_file.hpp"

#include <algorithm>

namespace lawa {
namespace {

std::span<float> elements(const HostVector<float>& x, int64_t begin, int64_t count) {
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
  std::vector<std::string> names;
  for (const ShardArray& array : arrays) names.push_back(array.name);
  FlatFileWriter writer(comm, path, header, names, options);
  comm.together([&] {
    for (const ShardArray& array : arrays) {
      const HostVector<float> local = on_host(array.local);
      for (const auto& [range, begin] : layout.mine()) writer.write(array.name, range, elements(local, begin, range.size()));
    }
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
    for (const ShardArray& array : arrays) {
      const HostVector<float> local = on_host(array.local);
      for (const auto& [range, begin] : layout.mine()) reader.read(array.name, range, elements(local, begin, range.size()));
      copy(array.local, local);
    }
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
