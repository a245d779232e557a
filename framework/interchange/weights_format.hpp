// The formats of weights files. What one does with a file goes through these functions, whatever its format.
#pragma once
#include <set>

#include "checkpoint/placed_file.hpp"
#include "comm/communicator.hpp"

namespace lawa {

/// What an average's file is to hold.
struct WantedAverage {
  std::filesystem::path newest;  ///< its newest member, which it is like
  Json description;              ///< that it gives of itself
  NumberFormat numbers;
  const ParameterTable& table;   ///< of the tensors that are averaged; others are copied
  std::map<std::string, std::filesystem::path> kept{};  ///< tensors that the newest lacks, and who has them
  std::set<std::string> dropped{};                      ///< tensors that are left out
  int64_t max_shard_bytes = 0;   ///< of a folder's files; 0: dealt out as the newest's
};

struct WeightsFormat {
  const char* ending;  ///< of its files, behind step_00001000; folders have none
  const char* name;    ///< ".safetensors", for messages
  bool by_tensor;      ///< its tensors lie apart: each can be copied, left out, or have a format of its own

  /// Opens a file; on one rank. Errors: damage, as far as it can be seen without reading the numbers; not of this format.
  PlacedFile (*open)(const std::filesystem::path& file);
  /// True when the file is there and its writer was done with it.
  bool (*is_committed)(const std::filesystem::path& file);
  /// Creates part_of(file) for an average, with everything but its numbers. On one rank. Errors: a full disk, say; then nothing stays.
  PlacedFile (*lay_out)(const std::filesystem::path& file, const WantedAverage& wanted);
  /// Completes part_of(file), whose numbers have these checksums, and gives it its name; durably, if asked to. On one rank.
  void (*seal)(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably);
};

/// The header of an average whose newest member has the header `newest`.
FlatHeader header_of_average(FlatHeader newest, const Json& description);

/// By a file's name: .safetensors; a folder, or nothing yet and without an ending: a model's folder; else this program's own.
const WeightsFormat& format_of(const std::filesystem::path& file);

/// " (one piece of a model? …)", where a file looks like that, else "".
std::string piece_hint(const std::filesystem::path& file);
/// Bytes that a text names: "5GB", "200MiB", "123". Errors: it doesn't.
int64_t bytes_named(const std::string& text, const std::string& key);

/// What averages of a model get beside its tensors, in words: "config.json … are carried along; optimizer.pt … isn't"; "" where it is a file.
std::string companions_text(const std::filesystem::path& file);

/// The weights that some places name: weights_files', or a folder's models (models_in); the folder that a model's index is in. Errors: theirs.
std::vector<std::filesystem::path> named_weights(const std::vector<std::string>& places);
/// The same, as rank 0 finds them: a folder may grow while it is listed. Collective.
std::vector<std::filesystem::path> named_weights(const Communicator& comm, const std::vector<std::string>& places);

}  // namespace lawa
