// A model as Hugging Face's libraries keep it: a folder with one safetensors file, or with several and their index, and with small files
// beside them (config, tokenizer, …).
//
//   model.safetensors
//   or model-00001-of-00002.safetensors, …, and
//   model.safetensors.index.json   {"metadata": {"total_size": bytes}, "weight_map": {tensor: "model-00001-of-00002.safetensors", …}}
#pragma once
#include "core/json.hpp"
#include "interchange/safetensors.hpp"

namespace lawa {

/// A safetensors file, or all of a folder's model: the same is done with both.
struct SafetensorsModel {
  std::filesystem::path path;               ///< the file, or the folder
  std::vector<std::string> names{};         ///< of the folder's files; none: path is the file
  std::vector<SafetensorsHeader> shards{};  ///< of the file, or of each of the folder's
  Json index_metadata{};                    ///< that the index says; null where there is none

  /// The i-th file, below `path` or below another folder of the same files.
  std::filesystem::path file(size_t i, const std::filesystem::path& below) const { return names.empty() ? below : below / names[i]; }
  std::filesystem::path file(size_t i) const { return file(i, path); }
};

/// Errors: read_safetensors_header's; no model's folder; an index that isn't as above, or that the files contradict; a tensor that stands in
/// two files.
SafetensorsModel read_model(const std::filesystem::path& path);

/// True for a folder with an index of safetensors, with model.safetensors, or with one .safetensors.
bool is_model_folder(const std::filesystem::path& path);

/// The models that a folder holds: itself; else its folders that are models, or its .safetensors, by name; else those that its folders hold,
/// so many levels down. Errors: it is a model's folder and holds others; pieces of a model without an index; several
/// files beside one config.
std::vector<std::filesystem::path> models_in(const std::filesystem::path& folder, int levels = 2);

/// Which of a folder's files go with its model, or another one's: not weights of other kinds, states of optimizers, logs.
struct Companions {
  std::vector<std::string> carried{}, left{};
};
Companions companions_of(const std::filesystem::path& folder);
/// Copies those that are carried; what config.json says of the numbers' format becomes `numbers`.
void carry_companions(const std::filesystem::path& folder, const std::filesystem::path& to, NumberFormat numbers);

/// Deals tensors out to files of at most so many bytes of data, in their order; a larger one has a file of its own.
std::vector<std::vector<TensorEntry>> shards_of_at_most(const std::vector<TensorEntry>& tensors, int64_t bytes);
/// "model.safetensors", or "model-00001-of-00003.safetensors", …: names for so many files, like those of the folder that `like` is from.
std::vector<std::string> shard_names(size_t count, const std::string& like);
/// The index of a model's files: the text of <…>.safetensors.index.json.
std::string index_text(const SafetensorsModel& model);
/// The name that the index of such files has.
std::string index_name(const std::string& shard_name);
}  // namespace lawa
