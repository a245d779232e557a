#include "interchange/weights_format.hpp"

#include <algorithm>
#include <iterator>

#include "checkpoint/flat_file.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/version.hpp"
#include "interchange/model_folder.hpp"
#include "interchange/safetensors_file.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

bool has_record(const fs::path& file) {
  const std::string name = file.filename().string();
  return fs::exists(file) && fs::exists(file.parent_path() / (name.substr(0, name.find('.')) + ".json"));
}

PlacedFile lay_out_flat_average(const fs::path& file, const WantedAverage& wanted) {
  return lay_out_flat_file(file, header_of_average(read_flat_header(wanted.newest, "weights"), wanted.description), {{"weights", wanted.numbers}});
}

void seal_flat_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably) {
  const FlatHeader& header = laid_out.header;
  const FileRecord file = seal_flat_file(laid_out, {{"weights", checksums}}, durably);
  write_record(laid_out.path.parent_path(), {header.step, header.trained_tokens, header.trajectory_hash, file, {}}, durably);
}

constexpr WeightsFormat flat{.ending = ".weights.h5",
                             .name = ".weights.h5",
                             .by_tensor = false,
                             .open = [](const fs::path& file) { return open_flat_file(file); },
                             .is_committed = has_record,
                             .lay_out = lay_out_flat_average,
                             .seal = seal_flat_average};
constexpr WeightsFormat of_safetensors(const char* ending, const char* name) {
  return {.ending = ending,
          .name = name,
          .by_tensor = true,
          .open = open_safetensors,
          .is_committed = [](const fs::path& file) { return fs::exists(file); },
          .lay_out = lay_out_safetensors_average,
          .seal = seal_safetensors_average};
}
constexpr WeightsFormat safetensors = of_safetensors(".safetensors", ".safetensors"), model_folder = of_safetensors("", "a model's folder");

/// Errors: what PyTorch has pickled.
void refuse_pickles(const fs::path& place) {
  const auto is_pickle = [](const fs::path& path) {
    const std::string ending = path.extension().string();
    return ending == ".bin" || ending == ".pt" || ending == ".pth" || ending == ".ckpt";
  };
  fs::path found = is_pickle(place) ? place : "";
  if (fs::is_directory(place))
    for (const auto& entry : fs::directory_iterator(place))
      if (is_pickle(entry.path())) found = entry.path();
  LAWA_CHECK(found.empty(), found.string(), ": is PyTorch's own format, which isn't read: save the model with save_pretrained(folder, "
             "safe_serialization=True) or safetensors.torch.save_file");
}

std::string list_text(const std::vector<std::string>& names) {
  constexpr size_t most = 12;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), most); ++i) text += concat(i > 0 ? ", " : "", names[i]);
  return text + (names.size() > most ? concat(" and ", names.size() - most, " more") : "");
}

}  // namespace

FlatHeader header_of_average(FlatHeader newest, const Json& description) {
  Json provenance = {{"program", "lawa " + version().number}, {"average", description}};
  for (const char* key : {"tokenizer", "imported"})
    if (newest.provenance.is_object() && newest.provenance.contains(key)) provenance[key] = newest.provenance[key];
  newest.git = version().git;
  newest.provenance = provenance;
  return newest;
}

const WeightsFormat& format_of(const fs::path& file) {
  if (fs::is_directory(file) || (!file.has_extension() && !fs::exists(file))) return model_folder;
  return file.extension() == safetensors.ending ? safetensors : flat;
}

std::string companions_text(const fs::path& file) {
  if (!fs::is_directory(file)) return "";
  const auto [carried, left] = companions_of(file);
  const std::string with = carried.empty() ? "" : concat(list_text(carried), ": carried along");
  if (left.empty()) return with;
  return concat(with, with.empty() ? "" : "; ", list_text(left), ": not carried along");
}

std::vector<fs::path> named_weights(const std::vector<std::string>& places) {
  std::vector<fs::path> found;
  for (const std::string& place : places) {
    fs::path path = place;
    if (!path.has_filename() && path.has_parent_path()) path = path.parent_path();  // "run/" is "run"
    const bool is_index = path.filename().string().ends_with(".safetensors.index.json");
    if (is_index) path = path.has_parent_path() ? path.parent_path() : fs::path(".");
    std::vector<fs::path> models;
    if (fs::is_directory(path)) models = is_index ? std::vector{path} : models_in(path);
    const bool is_run = fs::is_directory(path / "checkpoints") || !recorded_steps(path).empty();  // whose "train.bin" are tokens
    if (models.empty() && !is_run) refuse_pickles(path);
    std::ranges::copy(models.empty() ? weights_files({path.string()}) : models, std::back_inserter(found));
  }
  std::ranges::for_each(found, check_is_utf8);
  return found;
}

std::vector<fs::path> named_weights(const Communicator& comm, const std::vector<std::string>& places) {
  const Json names = from_root(comm, [&] {
    Json list = Json::array();
    for (const fs::path& file : named_weights(places)) list.push_back(file.string());
    return list;
  });
  const auto found = names.get<std::vector<std::string>>();
  return {found.begin(), found.end()};
}

}  // namespace lawa
