// Averages of weights files and of safetensors files, each rank over its own part of the flat weights.
#pragma once
#include <filesystem>
#include <vector>

#include "average/averaging_plan.hpp"
#include "checkpoint/flat_file.hpp"
#include "core/log.hpp"

namespace lawa {

struct AveragingOutput {
  std::string precision = "fp32";
  bool verify = true, fsync = true, skip_existing = false, allow_nonfinite = false;
  int64_t memory_bytes = int64_t{256} << 20;
};
/// The keys that say which numbers the averages are, whether they are written or not.
template <class Visitor>
void visit_numbers(AveragingOutput& c, Visitor&& v) {
  v("precision", c.precision, "of the averages; sums are float64 in any case, and rounded once", one_of({"fp32", "bf16"}));
  v("allow_nonfinite", c.allow_nonfinite, "average checkpoints that hold NaN or infinity");
}
template <class Visitor>
void visit(AveragingOutput& c, Visitor&& v) {
  visit_numbers(c, v);
  v("verify", c.verify, "read what was written back and verify it, before it gets its name");
  v("fsync", c.fsync, "make each file durable before it gets its name");
  v("skip_existing", c.skip_existing, "leave averages that are there already, if they are the same ones and verify");
  v("memory_bytes", c.memory_bytes, "held of checkpoints and averages at a time, a rank; a block of 4096 elements of each at least",
    at_least(1 << 16));
}

/// One file that may be averaged.
struct Source {
  int64_t step = 0;
  std::filesystem::path path;
  std::string digest;           ///< of its weights; of safetensors, which have no checksums: of the header and samples of the rest
  std::string trajectory_hash;  ///< "" for safetensors
};

/// Reads and verifies the headers of some weights files, or of safetensors files; sorted by step. The step of a safetensors file is
/// the last step, checkpoint or iter number in its path where all files have different ones, else its place in the list. Collective. Errors:
/// FlatFileReader's, read_safetensors_header's; files of both kinds, of different runs, or with other tensors.
std::vector<Source> open_sources(const Communicator& comm, const std::vector<std::filesystem::path>& files);

/// An average and the file that it is written to.
struct PlannedFile {
  Average average;
  std::filesystem::path path;  ///< folder/step_….weights.h5 or .safetensors
  std::string precision;
};

/// What an average's file says it is made from: describe() with the stride 0 where the members lie unevenly, each member's step,
/// weight and digest; a precision other than fp32.
Json describe_average(const PlannedFile& file, const std::vector<Source>& sources);
/// What a weights file says of the average that it holds, in today's words; null: it isn't one.
Json described_weights(const FlatHeader& header);
/// The average of a description: its scheme, members and precision. Errors: it isn't one; it names a scheme that there isn't.
PlannedFile described_average(const Json& description, const std::string& place);

/// Where the averages of a plan belong: in `destination` itself, or, of a grid, in its folders lawa_k005_nu000200 ….
std::vector<PlannedFile> planned_files(const AveragingConfig& config, const std::vector<Average>& plan,
                                       const std::vector<Source>& sources, const std::filesystem::path& destination,
                                       const std::string& precision = "fp32");

/// Of planned files, those that aren't there yet. On one rank. Errors: one is there and may not be (averaging.skip_existing), or is
/// another average.
std::vector<PlannedFile> missing_files(const std::vector<PlannedFile>& planned, const std::vector<Source>& sources, bool skip_existing);

struct AveragingTotals {
  int64_t bytes_read = 0, bytes_written = 0;  ///< of weights, over all ranks, the verification's reading not counted
  std::vector<std::string> digests;           ///< of each file's weights: the same from any number of ranks
};

/// Writes all files (weights files with their commit records) in one walk over the checkpoints. Collective; communicates at the start and the end
/// only. The bytes depend neither on the number of ranks nor on the order of the sources. Errors (a damaged, missing or non-finite
/// source, a full disk) reach all ranks; unless they come while files get their names, no file is left, and none that isn't whole
/// in any case. Of safetensors, F32, BF16 and F16 tensors are averaged; others must be the same in all files and are copied.
AveragingTotals write_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                               const std::vector<Source>& sources, Log& log);

/// The digest of the average that a description asks for, made again from the sources and written nowhere. Collective. Errors: a
/// member isn't among the sources, or isn't the file that it was.
std::string rebuilt_digest(const Communicator& comm, const AveragingOutput& options, const Json& description,
                           const std::vector<Source>& sources, const std::string& place);

/// What a file says of the average that it holds, and the digest of its weights, which are read and verified. Collective.
struct ExistingAverage {
  Json description;  ///< null: it isn't one
  std::string digest;
};
ExistingAverage existing_average(const Communicator& comm, const std::filesystem::path& file);

}  // namespace lawa
