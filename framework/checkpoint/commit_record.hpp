// Commit records: step_00001000.json beside a checkpoint's files, written last. A checkpoint exists if and only if its record
// does and the files it names verify.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.hpp"
#include "core/range.hpp"

namespace lawa {

/// One member file as it must be.
struct FileRecord {
  std::string name;                     ///< beside the record
  int64_t bytes = 0;                    ///< its size
  std::map<std::string, Range> arrays;  ///< the bytes of arrays that have block checksums of their own
  std::string digest;                   ///< XXH3-128 of all other bytes, the checksums among them

  Json to_json() const;
  static FileRecord from_json(const Json& json, const std::string& place);
};

/// Measures a file: size, and the digest of what lies outside `arrays`.
FileRecord describe_file(const std::filesystem::path& path, const std::map<std::string, Range>& arrays);

/// What a file holds outside its arrays, read once: texts, checksums, HDF5's own books.
struct FileRest {
  std::string bytes;          ///< one behind the other
  std::vector<Range> arrays;  ///< the bytes of the file that aren't among them, ascending

  /// Some bytes of the file. Errors: they aren't all here.
  std::span<const std::byte> at(Range place) const;
};
/// Errors: the file in `folder` is missing, has another size, or another digest. Returns what was read for that.
FileRest verify_file(const std::filesystem::path& folder, const FileRecord& record);

/// What a run that was asked to stop has left open.
struct OpenEnds {
  enum class Temporary { nothing, state, checkpoint };
  Temporary temporary = Temporary::nothing;  ///< what the run's schedule doesn't ask for: it goes when a newer state is there
  bool evaluation = false;                   ///< that of this step is still to be made
};

struct CommitRecord {
  int64_t step = 0, trained_tokens = 0;
  std::string trajectory_hash;
  FileRecord weights;
  std::optional<FileRecord> state;
  OpenEnds open{};

  /// With a digest of all the rest.
  Json to_json() const;
};

/// "step_00001000": what the files of a checkpoint are called.
std::string checkpoint_name(int64_t step);
std::filesystem::path weights_path(const std::filesystem::path& folder, int64_t step);
std::filesystem::path state_path(const std::filesystem::path& folder, int64_t step);
std::filesystem::path record_path(const std::filesystem::path& folder, int64_t step);

/// Writes it whole, and durably unless told otherwise, over an older record of that step.
void write_record(const std::filesystem::path& folder, const CommitRecord& record, bool durably = true);
/// Errors: missing, damaged, or not the record that its name says.
CommitRecord read_record(const std::filesystem::path& path);
/// Steps of the records in a folder, ascending; none where the folder doesn't exist.
std::vector<int64_t> recorded_steps(const std::filesystem::path& folder);
/// Steps of the state files in a folder, ascending, whether a record names them or not.
std::vector<int64_t> state_steps(const std::filesystem::path& folder);

/// The same of the weights files.
std::vector<int64_t> weights_steps(const std::filesystem::path& folder);

/// The weights files that some places name: a .h5 file itself; of a run's folder or a folder of checkpoints, those with a
/// commit record, by step, but for a temporary checkpoint; of a folder without any, those of its folders (a grid). Errors: a place that
/// doesn't exist or holds no checkpoint.
std::vector<std::filesystem::path> weights_files(const std::vector<std::string>& places);

/// Verifies a weights or a state file by the record beside it, if it has one that names it; without a record (nothing is returned) the
/// file's own digests must do.
std::optional<FileRest> verify_by_record(const std::filesystem::path& file);

}  // namespace lawa
