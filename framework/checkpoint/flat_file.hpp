// One HDF5 file with arrays over the flat index space 0..P-1: what weights files and state files have in common.
//
//   /<array>            (P), contiguous, in flat order whatever the number of ranks: float32; weights may be bfloat16 (two bytes, which
//                       HDF5 and h5py read as floats), the running sums of averages are float64
//   /checksums/<array>  uint64 (ceil(P / 4096)): XXH3-64 of each block's bytes
//   /table              JSON: name, shape, offset, decay of each tensor
//   /config             TOML: the run's resolved config
//   /provenance         JSON: program, git, what it was made from
//   /named/<tensor>     (its shape): virtual datasets over /weights, for people and h5py (weights files only)
//   attributes          kind step trained_tokens trajectory_hash config_hash git, and header_digest over all of these and the texts
//
// Files are immutable: written as .part, made durable, renamed. No time stands in them, so a repeated run repeats their bytes.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/commit_record.hpp"
#include "comm/communicator.hpp"
#include "core/json.hpp"
#include "core/number_format.hpp"
#include "params/parameter_table.hpp"

namespace lawa {

struct FlatHeader {
  std::string kind;                      ///< "weights" or "state"
  int64_t step = 0, trained_tokens = 0;  ///< optimizer steps made, training tokens seen
  std::string trajectory_hash, config_hash, git;
  ParameterTable table;
  std::string config;  ///< TOML
  Json provenance;

  /// Everything above as JSON: what `lawa inspect` prints and what header_digest is taken of.
  Json to_json() const;
};

/// An array and how its numbers are stored.
struct ArraySpec {
  std::string name;
  NumberFormat format = NumberFormat::float32;
};
/// Where an array lies in a file: byte offsets of its values and of their checksums.
struct ArrayPlace {
  NumberFormat format = NumberFormat::float32;
  int64_t values = 0, checksums = 0;
};

/// Checksums of consecutive blocks of 4096 stored numbers; the last may be shorter.
std::vector<uint64_t> block_checksums(std::span<const std::byte> stored, NumberFormat format);

/// Reads one file. Not collective: each rank opens and reads for itself.
class FlatFileReader {
 public:
  /// Errors: not a whole HDF5 file of this kind; a header whose digest doesn't verify; arrays that don't fit the table.
  FlatFileReader(const std::filesystem::path& path, const std::string& kind);
  ~FlatFileReader();
  FlatFileReader(FlatFileReader&&) noexcept;

  const FlatHeader& header() const;
  const std::string& path() const;
  /// Names of the arrays over 0..P-1, in alphabetical order.
  std::vector<std::string> arrays() const;
  /// How an array's numbers are stored. Errors: there is no such array.
  NumberFormat format(const std::string& array) const;
  /// Elements [range.begin, range.end) into `out`; begin is a multiple of 4096, end too or P. Every block is verified; errors name
  /// the file, the array, and the tensors that share a damaged block. Floats are read from float32 and bfloat16 arrays, doubles
  /// from float64 ones.
  void read(const std::string& array, Range range, std::span<float> out) const;
  void read(const std::string& array, Range range, std::span<double> out) const;
  /// XXH3-128 over all block checksums of an array: equal for equal contents.
  std::string digest(const std::string& array) const;

 private:
  const ArrayPlace& place(const std::string& array) const;
  void read_stored(const std::string& array, Range range, std::span<std::byte> out) const;

  struct State;
  std::unique_ptr<State> state_;
};

/// About how many bytes a file of these arrays will have: its numbers and texts exactly, HDF5's own books to a few kB.
int64_t expected_bytes(const FlatHeader& header, const std::vector<ArraySpec>& arrays);

/// Gives a flat file that is whole under part_of(path) its name; returns what a commit record says about it. On one rank.
FileRecord commit_flat_file(const std::filesystem::path& path, bool durably);

struct WriteOptions {
  bool fsync = true;
  int64_t transfer_elements = int64_t{1} << 28;  ///< at most 1 GiB a call
};

/// Writes one file with all ranks. Rank 0 lays it out; then every rank writes its own parts at their places.
class FlatFileWriter {
 public:
  /// Collective. A file of that name is replaced at commit(); callers decide whether it may exist.
  FlatFileWriter(const Communicator& comm, std::filesystem::path path, const FlatHeader& header,
                 const std::vector<ArraySpec>& arrays, const WriteOptions& options);
  /// Without a commit(), removes what was written.
  ~FlatFileWriter();
  FlatFileWriter(const FlatFileWriter&) = delete;
  FlatFileWriter& operator=(const FlatFileWriter&) = delete;

  /// Elements [range.begin, …) of an array; begin is a multiple of 4096, end too or P. Floats go to float32 and bfloat16 arrays
  /// (the format must hold them exactly), doubles to float64 ones. Not collective: inside comm.together(), so that an error reaches
  /// all ranks.
  void write(const std::string& array, Range range, std::span<const float> values);
  void write(const std::string& array, Range range, std::span<const double> values);
  /// Closes, makes durable and renames. Collective. Returns what a commit record says about the file.
  FileRecord commit();

 private:
  NumberFormat format(const std::string& array) const;
  void write_stored(const std::string& array, Range range, std::span<const std::byte> stored);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lawa
