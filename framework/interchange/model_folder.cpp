#include "interchange/model_folder.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <iterator>
#include <regex>
#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

const std::string ending = ".safetensors", index_ending = ".safetensors.index.json";
const std::regex piece(R"((.*)-\d{5}-of-\d{5}\.safetensors)");

bool is_piece(const std::string& name) { return std::regex_match(name, piece); }
bool is_part(const fs::path& path) { return path.extension() == ".part"; }

/// Names in a folder, sorted, that end so.
std::vector<std::string> names_in(const fs::path& folder, const std::string& with) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (const std::string name = entry.path().filename().string(); name.ends_with(with) && !entry.is_directory()) names.push_back(name);
  std::ranges::sort(names);
  return names;
}

/// The one that is called model.<…>, or the only one; "" where there is none. Errors: several.
std::string model_among(const std::vector<std::string>& names, const fs::path& folder) {
  for (const std::string& name : names)
    if (name == "model" + ending || name == "model" + index_ending) return name;
  LAWA_CHECK(names.size() < 2, folder.string(), ": holds several models, ", names[0], " and ", names[1], "; name one file");
  return names.empty() ? "" : names[0];
}

struct Index {
  std::string place;
  Json metadata{};
  std::map<std::string, std::string> files{};  ///< of tensors
};

Index read_index(const fs::path& path) {
  Index index{.place = path.string()};
  try {
    const Json json = parsed_json(read_file(path), path.string() + ": isn't an index of safetensors files");
    index.metadata = json.value("metadata", Json::object());
    for (const auto& [tensor, file] : json.at("weight_map").items()) index.files[tensor] = file.get<std::string>();
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, path.string(), ": isn't an index of safetensors files: ", error.what());
  }
  LAWA_CHECK(!index.files.empty(), path.string(), ": names no tensor");
  for (const auto& [tensor, file] : index.files)
    LAWA_CHECK(fs::path(file).filename() == file && file.ends_with(ending), path.string(), ": tensor \"", tensor, "\" is said to be in ", file,
               ", which isn't a safetensors file of this folder");
  return index;
}

/// Errors: the index names a tensor that its file lacks; two files hold the same one.
void check_index(const SafetensorsModel& model, const Index& index) {
  std::map<std::string, std::string> found;
  for (size_t i = 0; i < model.shards.size(); ++i)
    for (const TensorEntry& tensor : model.shards[i].tensors) {
      const auto [other, is_new] = found.emplace(tensor.name, model.names[i]);
      LAWA_CHECK(is_new, model.file(i).string(), ": holds tensor \"", tensor.name, "\", and so does ", other->second);
    }
  for (const auto& [tensor, file] : index.files)
    LAWA_CHECK(found.contains(tensor) && found[tensor] == file, index.place, ": says that tensor \"", tensor, "\" is in ", file, ", which lacks it");
}

}  // namespace

// ---- reading ---------------------------------------------------------------------------------------------------------------

bool is_model_folder(const fs::path& path) {
  if (!fs::is_directory(path) || is_part(path)) return false;
  const auto files = names_in(path, ending);
  return !names_in(path, index_ending).empty() || (files.size() == 1 && !is_piece(files[0])) || std::ranges::count(files, "model" + ending) > 0;
}

namespace {

/// Its folders, by name; links to others of them, or to itself, aren't any more ("latest").
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  const fs::path itself = fs::canonical(folder);
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory() || is_part(entry.path())) continue;
    const fs::path real = fs::canonical(entry.path());
    if (!entry.is_symlink() || (real != itself && real.parent_path() != itself)) folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  return folders;
}

/// The files of a folder's model, and its index where it has one.
std::pair<std::vector<std::string>, std::optional<Index>> files_of_model(const fs::path& folder) {
  LAWA_CHECK(is_model_folder(folder), folder.string(), ": holds no model of safetensors");
  const std::string of_index = model_among(names_in(folder, index_ending), folder);
  if (of_index.empty()) return {{model_among(names_in(folder, ending), folder)}, {}};
  Index index = read_index(folder / of_index);
  std::set<std::string> names;
  for (const auto& [tensor, file] : index.files) {
    std::error_code unknown;  // a name that no file system takes
    LAWA_CHECK(names.contains(file) || fs::exists(folder / file, unknown), index.place, ": names ", file, ", which isn't there");
    names.insert(file);
  }
  return {{names.begin(), names.end()}, std::move(index)};
}

}  // namespace

SafetensorsModel read_model(const fs::path& path) {
  SafetensorsModel model{.path = path};
  if (!fs::is_directory(path)) {
    model.shards.push_back(read_safetensors_header(path));
    return model;
  }
  const auto [names, index] = files_of_model(path);
  model.names = names;
  for (const std::string& name : names) model.shards.push_back(read_safetensors_header(path / name));
  if (index) {
    check_index(model, *index);
    model.index_metadata = index->metadata;
  }
  return model;
}

std::vector<fs::path> models_in(const fs::path& folder, int levels) {
  std::vector<fs::path> models;
  const auto folders = folders_in(folder);
  for (const fs::path& inner : folders)
    if (is_model_folder(inner)) models.push_back(inner);
  if (is_model_folder(folder)) {
    LAWA_CHECK(models.empty(), folder.string(), ": is a model, and holds others, ", models[0].filename().string(), " say; name those that are meant");
    return {folder};
  }
  const auto files = names_in(folder, ending);
  LAWA_CHECK(files.empty() || !is_piece(files[0]), folder.string(), ": holds pieces of a model, and no index of them (model", index_ending, ")");
  const bool of_one_model = fs::exists(folder / "config.json") || fs::exists(folder / "adapter_config.json");
  if (of_one_model) model_among(files, folder);
  for (const std::string& file : files) models.push_back(folder / file);
  if (models.empty() && levels > 1)
    for (const fs::path& inner : folders) std::ranges::copy(models_in(inner, levels - 1), std::back_inserter(models));
  return models;
}

std::string piece_hint(const fs::path& file) {
  return is_piece(file.filename().string()) ? " (one piece of a model? name its folder)" : "";
}

// ---- what stands beside the weights --------------------------------------------------------------------------------------------

namespace {

/// Weights of other kinds, what goes on with a training, and what it has said.
bool is_left(const std::string& name) {
  static const std::array endings{".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack",
                                  ".onnx", ".gguf", ".npz", ".pkl", ".distcp", ".part", ".lock", ".log"};
  static const std::array beginnings{".", "optimizer", "scheduler", "scaler", "rng_state", "trainer_state", "training_args", "events.out.", "global_step"};
  return std::ranges::any_of(endings, [&](const char* with) { return name.ends_with(with); }) ||
         std::ranges::any_of(beginnings, [&](const char* with) { return name.starts_with(with); });
}

/// A file; or a folder all of which is carried.
bool is_carried(const fs::path& path) {
  constexpr uintmax_t small = uintmax_t{1} << 28;
  if (is_left(path.filename().string())) return false;
  if (fs::is_regular_file(path)) return fs::file_size(path) <= small;
  return fs::is_directory(path) && !fs::is_symlink(path) && std::ranges::all_of(fs::directory_iterator(path), [](const auto& entry) { return is_carried(entry.path()); });
}

/// Of a config, and of the configs in it: "torch_dtype": "bfloat16" becomes what the average has. Returns whether anything did.
bool set_dtype(Json& config, const std::string& dtype) {
  static const std::set<std::string> floats{"float64", "float32", "bfloat16", "float16"};
  bool changed = false;
  for (auto& [key, value] : config.items()) {
    if (value.is_object()) {
      changed |= set_dtype(value, dtype);
    } else if ((key == "torch_dtype" || key == "dtype") && value.is_string() && floats.contains(value.get<std::string>()) && value != dtype) {
      value = dtype;
      changed = true;
    }
  }
  return changed;
}

}  // namespace

Companions companions_of(const fs::path& folder) {
  Companions companions;
  const auto model = is_model_folder(folder) ? files_of_model(folder).first : std::vector<std::string>{};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_carried(entry.path())) companions.carried.push_back(name);
    else if (!name.ends_with(index_ending) && std::ranges::count(model, name) == 0) companions.left.push_back(name);
  }
  std::ranges::sort(companions.carried);
  std::ranges::sort(companions.left);
  return companions;
}

void carry_companions(const fs::path& folder, const fs::path& to, NumberFormat numbers) {
  for (const std::string& name : companions_of(folder).carried) {
    std::error_code error;
    fs::copy(folder / name, to / name, fs::copy_options::recursive, error);
    LAWA_CHECK(!error, (folder / name).string(), ": can't be copied to ", to.string(), ": ", error.message());
  }
  const fs::path config = to / "config.json";
  if (!fs::exists(config)) return;
  Json json = json_or_null(read_file(config));
  if (json.is_object() && set_dtype(json, name_of(numbers))) write_file(config, json.dump(2) + "\n", false);
}

// ---- writing ---------------------------------------------------------------------------------------------------------------

std::vector<std::vector<TensorEntry>> shards_of_at_most(const std::vector<TensorEntry>& tensors, int64_t bytes) {
  std::vector<std::vector<TensorEntry>> shards(1);
  int64_t held = 0;
  for (const TensorEntry& tensor : tensors) {
    const int64_t more = tensor.stored_bytes();
    if (!shards.back().empty() && more > bytes - held) {
      shards.emplace_back();
      held = 0;
    }
    shards.back().push_back(tensor);
    held += more;
  }
  return shards;
}

std::vector<std::string> shard_names(size_t count, const std::string& like) {
  std::smatch match;
  const std::string stem = std::regex_match(like, match, piece) ? match[1].str() : like.substr(0, like.size() - ending.size());
  if (count == 1) return {stem + ending};
  std::vector<std::string> names;
  for (size_t i = 1; i <= count; ++i) {
    char number[48];
    std::snprintf(number, sizeof number, "-%05zu-of-%05zu", i, count);
    names.push_back(stem + number + ending);
  }
  return names;
}

std::string index_name(const std::string& shard_name) { return shard_names(1, shard_name)[0] + ".index.json"; }

std::string index_text(const SafetensorsModel& model) {
  std::map<std::string, std::string> files;
  int64_t bytes = 0, elements = 0;
  for (size_t i = 0; i < model.shards.size(); ++i)
    for (const TensorEntry& tensor : model.shards[i].tensors) {
      files[tensor.name] = model.names[i];
      bytes += tensor.bytes.size();
      elements += tensor.size();
    }
  Json metadata = model.index_metadata.is_object() ? model.index_metadata : Json::object();
  metadata["total_size"] = bytes;
  if (metadata.contains("total_parameters")) metadata["total_parameters"] = elements;
  return Json{{"metadata", metadata}, {"weight_map", files}}.dump(2) + "\n";
}

int64_t bytes_named(const std::string& text, const std::string& key) {
  static const std::map<std::string, double> units{{"", 1}, {"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"KIB", 0x1p10},
                                                   {"MIB", 0x1p20}, {"GIB", 0x1p30}, {"TIB", 0x1p40}};
  static const std::regex pattern(R"(\s*(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]{0,3})\s*)");
  std::smatch match;
  std::string unit;
  constexpr size_t longest = 64;  // regular expressions take stack for each byte
  if (text.size() <= longest && std::regex_match(text, match, pattern))
    std::ranges::transform(match[2].str(), std::back_inserter(unit), [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  const double bytes = !match.empty() && units.contains(unit) ? std::stod(match[1]) * units.at(unit) : 0;
  LAWA_CHECK(bytes >= 1 && bytes < 0x1p62, key, ": \"", text, "\" isn't a size; write \"5GB\" or \"500MiB\", say");
  return static_cast<int64_t>(bytes);
}

}  // namespace lawa
