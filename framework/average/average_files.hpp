// The files that averages belong in: their names, and what they say of themselves.
#pragma once
#include "average/sources.hpp"
#include "core/file_lock.hpp"

namespace lawa {

/// An average and the file that it is written to.
struct PlannedFile {
  Average average;
  std::filesystem::path path;  ///< folder/step_…, of the sources' format
  std::string precision;
  std::string missing = "refuse";  ///< what becomes of tensors that not all sources hold
};

std::vector<Average> averages_of(std::span<const PlannedFile> files);

/// What an average's file says it is made from: describe() with the stride 0 where the members lie unevenly, each member's step,
/// weight and digest; a precision other than fp32; `missing`, where there are such tensors.
Json describe_average(const PlannedFile& file, const std::vector<Source>& sources);
/// The average of a description: its scheme, members and precision. Errors: it isn't one; it names a scheme that there isn't.
PlannedFile described_average(const Json& description, const std::string& place);

/// Where the averages of a plan belong: in `destination` itself, or, of a grid, in its folders lawa_k005_nu000200 ….
std::vector<PlannedFile> planned_files(const AveragingConfig& config, const std::vector<Average>& plan,
                                       const std::vector<Source>& sources, const std::filesystem::path& destination,
                                       const std::string& precision = "fp32", const std::string& missing = "refuse");

/// Of planned files, those that aren't there yet. On one rank. Errors: one is there and may not be (averaging.skip_existing), or is
/// another average.
std::vector<PlannedFile> missing_files(const std::vector<PlannedFile>& planned, const std::vector<Source>& sources, bool skip_existing);

/// Of a file's precision, "fp32", "bf16" or "fp16".
NumberFormat format_of_precision(const std::string& precision);

/// Errors: averages would lie in a folder of their sources or one of the places that name them, or in a run's folder of checkpoints or its
/// own. On one rank.
void check_destination(const std::vector<PlannedFile>& files, const std::filesystem::path& destination, const std::vector<Source>& sources,
                       const std::vector<std::string>& places);

using FolderLocks = std::vector<std::unique_ptr<FileLock>>;
/// Holds the folders that planned files are in: no other job writes there, and what a killed one has left there (step_….part) is gone.
/// Errors: FileLock's.
FolderLocks lock_folders(const std::vector<PlannedFile>& files, const std::filesystem::path& destination, const LockPatience& patience);

}  // namespace lawa
