#include "interchange/exported_model.hpp"

#include <map>

#include "core/error.hpp"
#include "core/files.hpp"
#include "interchange/hugging_face_config.hpp"
#include "interchange/hugging_face_tensors.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/model_folder.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// The files that a model's tensors are dealt out to.
SafetensorsModel planned_files(const fs::path& path, const std::vector<HuggingFaceTensor>& tensors, const WantedExport& wanted) {
  std::vector<TensorEntry> entries;
  for (const HuggingFaceTensor& tensor : tensors)
    entries.push_back({.name = tensor.name, .dtype = dtype_name(wanted.numbers), .shape = tensor.shape, .bytes = {}});
  const auto shards = shards_of_at_most(entries, wanted.max_shard_bytes);
  SafetensorsModel model{.path = path, .names = shard_names(shards.size(), "model.safetensors")};
  for (const auto& shard : shards) model.shards.push_back(lay_out_safetensors(shard, {{"format", "pt"}}).first);
  return model;
}

/// Where a model's weights lie in its files, in our order.
Places places_in(const SafetensorsModel& model, const std::vector<HuggingFaceTensor>& tensors, NumberFormat numbers) {
  std::map<std::string, std::pair<int64_t, size_t>> begins;
  for (size_t file = 0; file < model.shards.size(); ++file)
    for (const TensorEntry& entry : model.shards[file].tensors) begins[entry.name] = {entry.bytes.begin, file};
  Places places{.files = model.names};
  for (const HuggingFaceTensor& tensor : tensors) {
    const auto [begin, file] = begins.at(tensor.name);
    if (tensor.held) places.segments.push_back({tensor.ours.range(), begin, numbers, file, tensor.transposed ? tensor.shape[0] : 0});
  }
  return places;
}

/// True where a folder's config.json is of this very model.
bool is_of_model(const fs::path& config, const Json& of_model) {
  const Json json = json_or_null(read_file(config));
  try {
    const ModelConfig found = read_hugging_face_config(json, config.string());
    return hugging_face_config(found, NumberFormat::float32) == of_model;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

PlacedFile lay_out_export(const fs::path& path, const WantedExport& wanted) {
  const ModelConfig config = model_of(wanted.header, path);
  const Json config_json = hugging_face_config(config, wanted.numbers);
  const auto tensors = hugging_face_tensors(config);
  const SafetensorsModel model = planned_files(path, tensors, wanted);
  const fs::path folder = part_of(path);
  fs::remove_all(folder);  // of a job that was killed
  PartGuard part(path);
  make_folder(folder);
  if (wanted.companions) carry_companions(*wanted.companions, folder, wanted.numbers);
  if (!fs::exists(folder / "config.json") || !is_of_model(folder / "config.json", hugging_face_config(config, NumberFormat::float32)))
    write_file(folder / "config.json", config_json.dump(2) + "\n", false);
  if (model.names.size() > 1) write_file(folder / index_name(model.names[0]), index_text(model), false);
  for (size_t i = 0; i < model.shards.size(); ++i) {
    ByteFile file(model.file(i, folder), ByteFile::Mode::create);
    file.reserve(model.shards[i].file_bytes);  // zeros
    const std::string text = lay_out_safetensors(model.shards[i].tensors, model.shards[i].metadata).second;
    file.write(0, std::as_bytes(std::span(text)));
    file.close();
  }
  PlacedFile file{.path = path, .header = wanted.header, .arrays = {}};
  file.arrays["weights"] = places_in(model, tensors, wanted.numbers);
  LAWA_CHECK(file.places("weights").size() == wanted.header.table.size(), path.string(), ": has room for ", file.places("weights").size(), " of ",
             wanted.header.table.size(), " weights");
  part.keep();
  return file;
}

}  // namespace lawa
