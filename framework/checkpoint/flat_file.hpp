// One HDF5 file with arrays over the flat index space 0..P-1: what weights files and state files have in common.
//
//   /<array>            (P), contiguous, in flat order whatever the number of ranks: float32; weights may be bfloat16 or float16 (two
//                       bytes, which HDF5 and h5py read as floats), the running sums of averages are float64
//   /checksums/<array>  uint64 (ceil(P / 4096)): XXH3-64 of each block's bytes
//   /table              JSON: name, shape, offset, decay of each tensor
//   /config             TOML: the run's resolved config
//   /provenance         JSON: program, git, what it was made from
//   /named/<tensor>     (its shape): virtual datasets over /weights, for people and h5py (weights files only)
//   attributes          kind step trained_tokens trajectory_hash config_hash git, and header_digest over all of these and the texts
//
// Files are immutable: written as .part, made durable, renamed. No time stands in them, so a repeated run repeats their bytes.
#pragma once
#include "checkpoint/commit_record.hpp"
#include "checkpoint/placed_file.hpp"

namespace lawa {

/// An array and how its numbers are stored.
struct ArraySpec {
  std::string name;
  NumberFormat format = NumberFormat::float32;
};

/// Opens a weights or a state file; on one rank. Errors: not a whole HDF5 file of this kind ("": of that which its name says, or any); a
/// header whose digest doesn't verify; a commit record beside it that says otherwise; arrays that don't fit the table.
PlacedFile open_flat_file(const std::filesystem::path& path, const std::string& kind = "");

/// Its header only. Errors: as above, but for the arrays.
FlatHeader read_flat_header(const std::filesystem::path& path, const std::string& kind = "");

/// Creates part_of(path) with everything but the numbers and their checksums. On one rank. Returns it as it will be opened. HDF5 makes
/// it in memory, and plain calls bring it to the disk: so a full disk is an error like any other. Errors name the file.
PlacedFile lay_out_flat_file(const std::filesystem::path& path, FlatHeader header, const std::vector<ArraySpec>& arrays);

/// About how many bytes a file of these arrays will have: its numbers and texts exactly, HDF5's own books to a few kB.
int64_t expected_bytes(const FlatHeader& header, const std::vector<ArraySpec>& arrays);

/// Writes the checksums of all blocks, those of each array, makes the file durable and gives it its name. On one rank. Returns what a
/// commit record says about it.
FileRecord seal_flat_file(const PlacedFile& laid_out, const std::map<std::string, std::vector<uint64_t>>& checksums, bool durably);

}  // namespace lawa
