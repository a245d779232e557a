// Local buffers of a ShardLayout, to and from flat files.
#pragma once
#include <functional>
#include <variant>

#include "checkpoint/flat_file.hpp"
#include "checkpoint/parallel_file.hpp"
#include "comm/communicator.hpp"
#include "core/files.hpp"
#include "params/shard_layout.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

struct ShardArray {
  std::string name;                                   ///< "weights", "m", "v", "averages/…"
  std::variant<Vector<float>, Vector<double>> local;  ///< a local buffer of the layout
  NumberFormat format = NumberFormat::float32;        ///< in the file; doubles are always float64
  bool constant = false;                              ///< nobody changes these numbers any more
};

/// The same where the CPU can read it.
struct HostArray {
  std::string name;
  std::variant<HostVector<float>, HostVector<double>> local;
  NumberFormat format;
};
/// keep: what is changed later is changed elsewhere, so that these numbers stay; else a CPU's own arrays are meant as they are.
std::vector<HostArray> on_host(const std::vector<ShardArray>& arrays, bool keep);

/// How files are written; the bytes are the same either way.
struct WriteOptions {
  bool fsync = true;
  bool through_hdf5 = false;                     ///< by parallel HDF5, all ranks together; else by each rank's plain system calls
  std::vector<std::string> hints{};              ///< for MPI-IO, as "cb_nodes=4"
  int64_t transfer_elements = int64_t{1} << 27;  ///< of one collective call of HDF5: at most 1 GiB a rank
};

/// Name and value of a hint for MPI-IO, "cb_nodes=4". Errors: it isn't of that form; `place` says where it stands.
std::pair<std::string, std::string> hint_of(const std::string& text, const std::string& place);

/// One file in the making. All ranks make one together, write() it, each its own part, gather_checksums(), and rank 0 may seal() it: one
/// behind the other, each when all ranks have done what is before it. What isn't sealed is removed.
class ShardFile {
 public:
  /// Lays the file out. Collective. Errors reach all ranks.
  ShardFile(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header, const ShardLayout& layout,
            std::vector<HostArray> arrays, const WriteOptions& options);

  /// This rank's part. Plain calls, on any thread; through HDF5: collective, and errors reach all ranks.
  void write();
  /// Where other nodes have written: makes durable what was written on this one, by its first rank. Plain calls, on any thread.
  void make_durable() const;
  /// Every rank's, on rank 0. Collective.
  void gather_checksums();
  /// On rank 0. Plain calls, on any thread.
  FileRecord seal();

 private:
  std::vector<uint64_t> write_alone(const HostArray& array) const;
  std::vector<uint64_t> write_together(const HostArray& array);

  const Communicator* comm_;
  const ShardLayout* layout_;
  WriteOptions options_;
  std::vector<HostArray> arrays_;
  std::filesystem::path part_;
  PartGuard guard_;
  PlacedFile file_{};  ///< on ranks other than 0, its arrays only
  std::optional<ParallelFile> through_hdf5_{};
  std::map<std::string, std::vector<uint64_t>> checksums_{};  ///< this rank's; gathered: all, on rank 0
};

/// Writes what each rank owns of some arrays as one file; returns its record. Collective. Errors reach all ranks, and nothing stays of
/// a file that isn't whole.
FileRecord write_shards(const Communicator& comm, const std::filesystem::path& path, const FlatHeader& header,
                        const ShardLayout& layout, const std::vector<ShardArray>& arrays, const WriteOptions& options = {});

/// What rank 0 finds, on every rank. Collective; its errors reach all ranks.
Json from_root(const Communicator& comm, const std::function<Json()>& find);

/// Reads what each rank owns into local buffers. Collective; rank 0 opens the file for all. Errors (open_flat_file's, PlacedReader's; a
/// table other than `table`) reach all ranks. Returns the file.
PlacedFile read_shards(const Communicator& comm, const std::filesystem::path& path, const std::string& kind,
                       const ParameterTable& table, const ShardLayout& layout, const std::vector<ShardArray>& arrays);

/// PlacedFile::digest that a file of these weights would have, their numbers stored in a format that holds them; on every rank. Collective.
std::string digest_of_shards(const Communicator& comm, const ShardLayout& layout, const Vector<float>& local, NumberFormat format);

/// Errors: a file's tensors aren't the model's; names the first that differs.
void check_same_layout(const ParameterTable& file, const ParameterTable& model, const std::string& path);

/// A file that rank 0 opens, as all ranks need it to read it. Collective.
PlacedFile open_on_root(const Communicator& comm, const std::function<PlacedFile()>& open);
/// What each rank owns of an array of an opened file, into a local buffer. Errors: PlacedReader's.
void read_shard(const PlacedFile& file, const ShardLayout& layout, const ShardArray& array);

}  // namespace lawa
