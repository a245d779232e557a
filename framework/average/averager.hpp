// Averages of weights files, each rank over its own part of the flat weights.
#pragma once
#include <functional>

#include "average/average_files.hpp"
#include "average/sources.hpp"
#include "core/log.hpp"

namespace lawa {

struct AveragingOutput {
  std::string precision = "fp32", missing = "refuse", max_shard_size = "";
  bool verify = true, fsync = true, skip_existing = false, allow_nonfinite = false;
  int64_t memory_bytes = int64_t{256} << 20;
};
/// The keys that say which numbers the averages are, whether they are written or not.
template <class Visitor>
void visit_numbers(AveragingOutput& c, Visitor&& v) {
  v("precision", c.precision, "of the averages; sums are float64 in any case, and rounded once", one_of({"fp32", "bf16", "fp16"}));
  v("allow_nonfinite", c.allow_nonfinite, "average checkpoints that hold NaN or infinity");
}
template <class Visitor>
void visit(AveragingOutput& c, Visitor&& v) {
  visit_numbers(c, v);
  v("missing", c.missing, "tensors that not all checkpoints hold: refuse, keep (the newest that there is) or drop",
    one_of({"refuse", "keep", "drop"}));
  v("max_shard_size", c.max_shard_size, "of a model's folder: the most bytes a file, \"5GB\" say; \"\": files as the newest checkpoint's");
  v("verify", c.verify, "read what was written back and verify it, before it gets its name");
  v("fsync", c.fsync, "make each file durable before it gets its name");
  v("skip_existing", c.skip_existing, "leave averages that are there already, if they are the same ones and verify");
  v("memory_bytes", c.memory_bytes, "held of checkpoints and averages at a time, a rank; a block of 4096 elements of each at least",
    at_least(1 << 16));
}

/// 0: as the newest's. Errors: no size.
int64_t max_shard_bytes(const AveragingOutput& options);

struct AveragingTotals {
  int64_t bytes_read = 0, bytes_written = 0;  ///< of weights, over all ranks, the verification's reading not counted
  std::vector<std::string> digests;           ///< of each file's weights: the same from any number of ranks
};

/// Writes all files. They are made in groups, by ascending step, in one walk over the checkpoints each, and a group's files get their names
/// at its end. Groups are so large that little is read twice: what the windows of two groups share. Collective. The bytes depend
/// neither on the number of ranks nor on the order of the sources. Errors (a damaged, missing or non-finite source, a full disk, Stopped)
/// reach all ranks; then nothing is left of the files of the group that was under way, unless the error comes while they get their
/// names, and none that isn't whole in any case. `locks`, rank 0's, are looked at on the way and before files get their names: where another
/// process has taken a folder over, that is an error, and what is in the folder is left to it. `committed`, if given, is told of each file
/// and its digest, on every rank.
AveragingTotals write_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                               const std::vector<Source>& sources, Log& log, const FolderLocks& locks = {},
                               const std::function<void(size_t, const std::string&)>& committed = {});

/// The digest of the average that a description asks for, made again from the sources and written nowhere. Collective. Errors: a
/// member isn't among the sources, or isn't the file that it was. `means`, if given: the tensors that were averaged.
std::string rebuilt_digest(const Communicator& comm, const AveragingOutput& options, const Json& description,
                           const std::vector<Source>& sources, const std::string& place, const ParameterTable* means = nullptr);

/// What a file says of the average that it holds, and the digest of its weights, which are read and verified. Collective. Errors: damage;
/// it isn't an average.
struct ExistingAverage {
  Json description;
  std::string digest;
  ParameterTable means;  ///< the tensors that the digest is of
};
ExistingAverage existing_average(const Communicator& comm, const std::filesystem::path& file);

}  // namespace lawa
