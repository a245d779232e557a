#include "interchange/safetensors_file.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/version.hpp"
#include "interchange/model_folder.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

// In the metadata of an average (of its first file): what it is; the digest of its numbers; the program; since format 2 that too, and the
// digest of the headers, with zeros for both digests, and of the tensors that were copied; where some of these are floats, their names.
constexpr const char *description_key = "lawa.average", *digest_key = "lawa.digest", *program_key = "lawa.program", *format_key = "lawa.format",
                     *rest_key = "lawa.rest", *copied_key = "lawa.copied";
const std::string no_digest(32, '0');

/// What can be averaged.
bool is_float(const TensorEntry& tensor) { return tensor.format().has_value(); }

std::string what(const TensorEntry& tensor) {  // as average/tensors.cpp says it of those that are averaged
  return concat(is_float(tensor) ? name_of(*tensor.format()) : tensor.dtype, " ", Json(tensor.shape).dump());
}

/// f(bytes) for the pieces of a file's range.
template <class F>
void for_each_piece(const ByteFile& file, Range range, F&& f) {
  std::vector<std::byte> piece;
  for (int64_t begin = range.begin; begin < range.end; begin += std::ssize(piece)) {
    piece.resize(static_cast<size_t>(std::min<int64_t>(range.end - begin, 1 << 20)));
    file.read(begin, piece);
    f(begin, std::span<const std::byte>(piece));
  }
}

/// What tells a file from others without reading all of it: its header and samples spread over the rest. Training changes them all.
std::string fingerprint(const ByteFile& file, const SafetensorsHeader& header) {
  constexpr int64_t samples = 64, sample_bytes = 4096;
  const int64_t size = header.file_bytes - header.data_begin();
  Digest digest;
  const auto add = [&](Range range) {
    for_each_piece(file, range, [&](int64_t, std::span<const std::byte> bytes) { digest.add(bytes); });
  };
  add({0, header.data_begin()});
  for (int64_t i = 0; i < samples; ++i) {
    const Range part = split(size, i, samples);
    add({header.data_begin() + part.begin, header.data_begin() + std::min(part.end, part.begin + sample_bytes)});
  }
  return digest.hex();
}
std::string fingerprint(const SafetensorsModel& model) {
  Digest all;
  std::string one;
  for (size_t i = 0; i < model.shards.size(); ++i)
    all.add(one = fingerprint(ByteFile(model.file(i), ByteFile::Mode::read), model.shards[i]));
  return model.shards.size() == 1 ? one : all.hex();
}

/// f(tensor, file) for all tensors.
template <class F>
void for_each_tensor(const SafetensorsModel& model, F&& f) {
  for (size_t i = 0; i < model.shards.size(); ++i)
    for (const TensorEntry& tensor : model.shards[i].tensors) f(tensor, i);
}

/// Of the tensors that `is_meant`: their table, by name, so that it is the same whatever their order in the files; and their places.
template <class IsMeant>
Places places_of(const SafetensorsModel& model, IsMeant&& is_meant, ParameterTable& table) {
  std::map<std::string, std::pair<const TensorEntry*, size_t>> meant;
  for_each_tensor(model, [&](const TensorEntry& tensor, size_t file) {
    if (is_meant(tensor) && tensor.size() > 0) meant[tensor.name] = {&tensor, file};
  });
  Places places{.files = model.names};
  for (const auto& [name, found] : meant) {
    const auto [tensor, file] = found;
    places.segments.push_back({{places.size(), places.size() + tensor->size()}, tensor->bytes.begin, *tensor->format(), file});
    table.add({.name = name, .shape = tensor->shape});
  }
  return places;
}

Json words_of(const SafetensorsModel& model) {
  Json table = Json::array();
  for_each_tensor(model, [&](const TensorEntry& tensor, size_t) {
    table.push_back({{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
  });
  return {{"table", table}, {"metadata", model.shards[0].metadata}};
}

std::string value_of(const SafetensorsHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  return found == header.metadata.end() ? "" : found->second;
}

/// The names in a list; nothing where the text isn't one.
std::optional<std::set<std::string>> names_in(const std::string& text) {
  const Json list = json_or_null(text);
  if (!list.is_array() || !std::ranges::all_of(list, [](const Json& name) { return name.is_string(); })) return std::nullopt;
  return list.get<std::set<std::string>>();
}

/// True for an average of ours. Errors: some of what its header must say isn't there.
bool is_average(const SafetensorsHeader& header, const fs::path& path) {
  const auto has = [&](const char* key) { return header.metadata.contains(key); };
  const bool first = has(description_key) && has(digest_key) && has(program_key), second = has(format_key) && has(rest_key);
  const bool any = has(description_key) || has(digest_key) || has(program_key) || has(format_key) || has(rest_key);
  const bool consistent = first && second == (has(format_key) || has(rest_key)) && (!has(copied_key) || names_in(value_of(header, copied_key)));
  LAWA_CHECK(!any || (consistent && json_or_null(value_of(header, description_key)).is_object()), path.string(),
             ": is damaged: its header lacks some of what an average's says (lawa.…)");
  return any;
}

/// The floats of an average that are copies.
std::set<std::string> copied_floats(const SafetensorsHeader& header) { return names_in(value_of(header, copied_key)).value_or(std::set<std::string>{}); }

/// In an average: is this tensor a mean? Means are never float64.
bool is_mean(const TensorEntry& tensor, const std::set<std::string>& copies) {
  return is_float(tensor) && tensor.format() != NumberFormat::float64 && !copies.contains(tensor.name);
}

/// The text that an average's i-th file begins with, with other digests.
std::string text_with(const SafetensorsModel& model, size_t i, const std::string& digest, const std::string& rest) {
  auto metadata = model.shards[i].metadata;
  if (i == 0) {
    metadata[digest_key] = digest;
    metadata[rest_key] = rest;
  }
  return lay_out_safetensors(model.shards[i].tensors, metadata).second;
}

/// Where a tensor's bytes are.
struct Origin {
  fs::path file;
  Range bytes;
};
using Origins = std::map<std::string, Origin>;

Origins origins_in(const SafetensorsModel& model) {
  Origins origins;
  for_each_tensor(model, [&](const TensorEntry& tensor, size_t file) { origins[tensor.name] = {model.file(file), tensor.bytes}; });
  return origins;
}

/// The digest that an average has under rest_key, its copied tensors being those of `origins`.
std::string rest_digest(const SafetensorsModel& average, const Origins& origins) {
  const auto copies = copied_floats(average.shards[0]);
  Digest digest;
  OpenFiles open(ByteFile::Mode::read);
  for (size_t i = 0; i < average.shards.size(); ++i) {
    digest.add(text_with(average, i, no_digest, no_digest));
    for (const TensorEntry& tensor : average.shards[i].tensors) {
      if (is_mean(tensor, copies)) continue;
      const Origin& origin = origins.at(tensor.name);
      for_each_piece(open[origin.file], origin.bytes, [&](int64_t, std::span<const std::byte> piece) { digest.add(piece); });
    }
  }
  return digest.hex();
}

}  // namespace

PlacedFile open_safetensors(const fs::path& path) {
  const SafetensorsModel model = read_model(path);
  const SafetensorsHeader& first = model.shards[0];
  PlacedFile file{.path = path, .header = {.kind = "weights"}, .arrays = {}, .says_step = false};
  file.arrays["weights"] = places_of(model, is_float, file.header.table);
  LAWA_CHECK(file.header.table.size() > 0, path.string(), ": holds no float32, bfloat16, float16 or float64 tensor");
  for_each_tensor(model, [&](const TensorEntry& tensor, size_t i) {
    if (!is_float(tensor) || tensor.size() == 0) file.copied.push_back({tensor.name, what(tensor), tensor.counts(), tensor.bytes, i});
  });
  file.identity = fingerprint(model);
  file.own_words = words_of(model);
  if (!is_average(first, path)) return file;
  file.average = json_or_null(value_of(first, description_key));
  file.digest = value_of(first, digest_key);
  const std::string rest = value_of(first, rest_key);  // averages that were written before have none
  LAWA_CHECK(rest.empty() || rest == rest_digest(model, origins_in(model)), path.string(),
             ": is damaged: its header or a tensor that was copied isn't what was written (the digest ", rest_key, " doesn't verify)");
  const auto copies = copied_floats(first);
  Places places = places_of(model, [&](const TensorEntry& tensor) { return is_mean(tensor, copies); }, file.means);
  if (file.means.size() < file.header.table.size()) file.arrays["means"] = std::move(places);
  return file;
}

// ---- writing ---------------------------------------------------------------------------------------------------------------

namespace {

std::set<std::string> names_of(const ParameterTable& table) {
  std::set<std::string> names;
  for (const Parameter& parameter : table.parameters()) names.insert(parameter.name);
  return names;
}

/// The tensors of an average, shard by shard as those of its newest member lie, and where the bytes of each are copied from if it is one that
/// is copied.
std::pair<std::vector<std::vector<TensorEntry>>, Origins> tensors_of(const WantedAverage& wanted, const SafetensorsModel& newest) {
  Origins origins = origins_in(newest);
  std::vector<std::vector<TensorEntry>> shards;
  for (const SafetensorsHeader& shard : newest.shards) shards.push_back(shard.tensors);
  for (const auto& [name, path] : wanted.kept) {
    const SafetensorsModel other = read_model(path);
    for_each_tensor(other, [&](const TensorEntry& tensor, size_t file) {
      if (tensor.name != name) return;
      shards.back().push_back(tensor);
      origins[name] = {other.file(file), tensor.bytes};
    });
  }
  const auto averaged = names_of(wanted.table);
  for (auto& tensors : shards) {
    std::erase_if(tensors, [&](const TensorEntry& tensor) { return wanted.dropped.contains(tensor.name); });
    for (TensorEntry& tensor : tensors)
      if (averaged.contains(tensor.name) || (is_float(tensor) && tensor.size() == 0)) tensor.dtype = dtype_name(wanted.numbers);
  }
  std::erase_if(shards, [](const auto& tensors) { return tensors.empty(); });
  return {shards, origins};
}

/// An average as its files will be, but for the digests.
SafetensorsModel planned_model(const fs::path& path, const WantedAverage& wanted, const SafetensorsModel& newest,
                               std::vector<std::vector<TensorEntry>> shards) {
  SafetensorsModel model{.path = path, .index_metadata = newest.index_metadata};
  const bool dealt_anew = wanted.max_shard_bytes > 0;
  if (dealt_anew) {
    std::vector<TensorEntry> all;
    for (const auto& tensors : shards) std::ranges::copy(tensors, std::back_inserter(all));
    shards = shards_of_at_most(all, wanted.max_shard_bytes);
  }
  if (!newest.names.empty()) model.names = shards.size() == newest.names.size() ? newest.names : shard_names(shards.size(), newest.names[0]);
  Json copies = Json::array();
  const auto averaged = names_of(wanted.table);
  for (const auto& tensors : shards)
    for (const TensorEntry& tensor : tensors)
      if (is_mean(tensor, {}) && tensor.size() > 0 && !averaged.contains(tensor.name)) copies.push_back(tensor.name);
  for (auto& tensors : shards) {
    auto metadata = newest.shards[dealt_anew ? 0 : std::min(model.shards.size(), newest.shards.size() - 1)].metadata;
    for (const char* key : {description_key, digest_key, program_key, format_key, rest_key, copied_key}) metadata.erase(key);
    metadata.emplace("format", "pt");  // transformers asks for it
    if (model.shards.empty()) {
      metadata[description_key] = wanted.description.dump();
      metadata[digest_key] = metadata[rest_key] = no_digest;
      metadata[program_key] = "lawa " + version().number + " " + version().git;
      metadata[format_key] = "2";
      if (!copies.empty()) metadata[copied_key] = copies.dump();
    }
    model.shards.push_back(lay_out_safetensors(std::move(tensors), metadata).first);
  }
  return model;
}

/// Writes a file but for its means.
void write_copies(const fs::path& path, const SafetensorsHeader& header, const std::string& text, const std::set<std::string>& copies,
                  const Origins& origins) {
  ByteFile to(path, ByteFile::Mode::create);
  to.reserve(header.file_bytes);
  to.write(0, std::as_bytes(std::span(text)));
  OpenFiles open(ByteFile::Mode::read);
  for (const TensorEntry& tensor : header.tensors) {
    if (is_mean(tensor, copies)) continue;
    const auto& [file, bytes] = origins.at(tensor.name);
    const int64_t ahead = tensor.bytes.begin - bytes.begin;
    for_each_piece(open[file], bytes, [&](int64_t begin, std::span<const std::byte> piece) { to.write(begin + ahead, piece); });
  }
  to.close();
}

}  // namespace

PlacedFile lay_out_safetensors_average(const fs::path& path, const WantedAverage& wanted) {
  const SafetensorsModel newest = read_model(wanted.newest);
  auto [shards, origins] = tensors_of(wanted, newest);
  const SafetensorsModel model = planned_model(path, wanted, newest, std::move(shards));
  const auto copies = copied_floats(model.shards[0]);
  const std::string rest = rest_digest(model, origins);

  PartGuard part(path);
  if (!model.names.empty()) {
    make_folder(part_of(path));
    carry_companions(wanted.newest, part_of(path), wanted.numbers);
    if (model.names.size() > 1) write_file(part_of(path) / index_name(model.names[0]), index_text(model), false);
  }
  for (size_t i = 0; i < model.shards.size(); ++i)
    write_copies(model.file(i, part_of(path)), model.shards[i], text_with(model, i, no_digest, rest), copies, origins);
  PlacedFile file{.path = path, .header = {.kind = "weights"}, .arrays = {}, .says_step = false, .digest = no_digest};
  file.arrays["weights"] = places_of(model, [&](const TensorEntry& tensor) { return is_mean(tensor, copies); }, file.header.table);
  LAWA_CHECK(file.header.table.same_layout(wanted.table), path.string(), ": the means would be others than the tensors that are averaged");
  part.keep();
  return file;
}

void seal_safetensors_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably) {
  const fs::path part = part_of(laid_out.path);
  SafetensorsModel model{.path = part, .names = laid_out.places("weights").files};
  for (const fs::path& file : laid_out.places("weights").files_of(part)) model.shards.push_back(read_safetensors_header(file));
  const std::string rest = value_of(model.shards[0], rest_key);
  LAWA_CHECK(rest == rest_digest(model, origins_in(model)), part.string(), ": its header or a copied tensor isn't what was written");
  const std::string text = text_with(model, 0, digest_of(checksums), rest);  // as long as the one before: nothing moves
  ByteFile file(model.file(0), ByteFile::Mode::update);
  file.write(0, std::as_bytes(std::span(text)));
  file.close();
  commit_file(laid_out.path, durably);
}

}  // namespace lawa
