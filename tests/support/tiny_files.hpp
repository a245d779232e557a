// Weights files that are small enough for a test.
#pragma once
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/shard_file.hpp"
#include "core/files.hpp"
#include "support/fixtures.hpp"

namespace lawa::test {

/// Three tensors of `size` elements together (at least 16).
inline ParameterTable tiny_table(int64_t size) {
  ParameterTable table;
  table.add({.name = "wte.weight", .shape = {3, (size - 1) / 4}, .decay = true});
  table.add({.name = "scale", .shape = {1}});
  table.add({.name = "ln_f.weight", .shape = {size - table.size()}});
  return table;
}

inline FlatHeader tiny_header(int64_t size, int64_t step, const std::string& kind = "weights") {
  FlatHeader header;
  header.kind = kind;
  header.step = step;
  header.trained_tokens = 96 * step;
  header.trajectory_hash = "0123456789abcdef";
  header.config_hash = "fedcba9876543210";
  header.git = "unknown";
  header.table = tiny_table(size);
  header.config = "seed = 1\nmodel.layers = 2\n";
  header.provenance = {{"program", "test"}, {"kind", "made up"}};
  return header;
}

/// A local buffer of a layout that holds its part of `full`; what lies past P is no number, and must never reach a file.
template <class T>
Vector<T> shard_of(const std::vector<T>& full, const ShardLayout& layout) {
  std::vector<T> local(static_cast<size_t>(layout.local_size()), std::numeric_limits<T>::quiet_NaN());
  for (const auto& [range, begin] : layout.mine())
    std::copy(full.begin() + range.begin, full.begin() + range.end, local.begin() + begin);
  return vector(local);
}

/// Writes step_….weights.h5 and its commit record; `values` are all of /weights, the same on every rank. Collective.
inline std::filesystem::path write_checkpoint(const Communicator& comm, const std::filesystem::path& folder,
                                              const FlatHeader& header, const std::vector<float>& values) {
  const ShardLayout layout(header.table.size(), comm.rank(), comm.size());
  const auto path = weights_path(folder, header.step);
  const FileRecord file = write_shards(comm, path, header, layout, {{"weights", shard_of(values, layout)}}, {.fsync = false});
  comm.on_root([&] { write_record(folder, {header.step, header.trained_tokens, header.trajectory_hash, file, {}}); });
  return path;
}

/// Some of an array: T is float or double.
template <class T = float>
std::vector<T> read_range(const std::filesystem::path& path, Range range, const std::string& kind = "weights", const std::string& array = "weights") {
  const PlacedFile file = open_flat_file(path, kind);
  OpenFiles open(ByteFile::Mode::read);
  std::vector<T> values(static_cast<size_t>(range.size()), std::numeric_limits<T>::quiet_NaN());
  PlacedReader(open, path, file.places(array), file.header.table, array).read(range, std::span<T>(values));
  return values;
}
/// All of an array.
inline std::vector<float> read_array(const std::filesystem::path& path, const std::string& kind = "weights",
                                     const std::string& array = "weights") {
  return read_range(path, {0, read_flat_header(path).table.size()}, kind, array);
}
inline std::string digest_of_weights(const std::filesystem::path& path) { return open_flat_file(path, "weights").digest; }

/// Turns one bit of a file over.
inline void flip_bit(const std::filesystem::path& path, int64_t byte, int bit = 0) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(byte);
  const int found = file.get();
  file.seekp(byte);
  file.put(static_cast<char>(found ^ (1 << bit)));
}

}  // namespace lawa::test
