#include "interchange/safetensors_file.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/version.hpp"
#include "interchange/safetensors.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

// In the metadata of an average: what it is; the digest of its numbers; the program; since format 2 that too, and the digest of the
// header, with zeros for both digests, and of the tensors that were copied.
constexpr const char *description_key = "lawa.average", *digest_key = "lawa.digest", *program_key = "lawa.program", *format_key = "lawa.format",
                     *rest_key = "lawa.rest";
const std::string no_digest(32, '0');

/// float64 would lose digits.
bool is_averaged(const TensorEntry& tensor) { return tensor.format() && tensor.format() != NumberFormat::float64; }

std::string what(const TensorEntry& tensor) { return tensor.dtype + " " + Json(tensor.shape).dump(); }

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

/// The header's text, with other digests.
std::string text_with(const SafetensorsHeader& header, const std::string& digest, const std::string& rest) {
  auto metadata = header.metadata;
  metadata[digest_key] = digest;
  metadata[rest_key] = rest;
  return lay_out_safetensors(header.tensors, metadata).second;
}

/// The digest that an average has under rest_key, its copied tensors being those of `file`, whose header is `like`.
std::string rest_digest(const SafetensorsHeader& header, const ByteFile& file, const SafetensorsHeader& like) {
  Digest digest;
  digest.add(text_with(header, no_digest, no_digest));
  for (const TensorEntry& tensor : header.tensors) {
    if (is_averaged(tensor)) continue;
    const Range bytes = std::ranges::find(like.tensors, tensor.name, &TensorEntry::name)->bytes;
    for_each_piece(file, bytes, [&](int64_t, std::span<const std::byte> piece) { digest.add(piece); });
  }
  return digest.hex();
}

/// Of the tensors that are averaged: their table, by name, so that it is the same whatever their order in a file; and their places.
void add_weights(const SafetensorsHeader& header, PlacedFile& file) {
  std::map<std::string, const TensorEntry*> averaged;
  for (const TensorEntry& tensor : header.tensors)
    if (is_averaged(tensor) && tensor.size() > 0) averaged[tensor.name] = &tensor;
  Places& places = file.arrays["weights"];
  for (const auto& [name, tensor] : averaged) {
    places.segments.push_back({{places.size(), places.size() + tensor->size()}, tensor->bytes.begin, *tensor->format()});
    file.header.table.add({.name = name, .shape = tensor->shape});
  }
  LAWA_CHECK(!averaged.empty(), file.path.string(), ": holds no float32, bfloat16 or float16 tensor");
}

/// A file with its weights and the tensors that are copied.
PlacedFile placed(const fs::path& path, const SafetensorsHeader& header) {
  PlacedFile file{.path = path, .header = {.kind = "weights"}, .arrays = {}, .says_step = false};
  add_weights(header, file);
  for (const TensorEntry& tensor : header.tensors)
    if (!is_averaged(tensor)) file.copied.push_back({tensor.name, what(tensor), tensor.bytes});
  return file;
}

Json words_of(const SafetensorsHeader& header) {
  Json table = Json::array();
  for (const TensorEntry& tensor : header.tensors) table.push_back({{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
  return {{"table", table}, {"metadata", header.metadata}};
}

std::string value_of(const SafetensorsHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  return found == header.metadata.end() ? "" : found->second;
}

/// True for an average of ours. Errors: some of what its header must say isn't there.
bool is_average(const SafetensorsHeader& header, const fs::path& path) {
  const auto has = [&](const char* key) { return header.metadata.contains(key); };
  const bool first = has(description_key) && has(digest_key) && has(program_key), second = has(format_key) && has(rest_key);
  const bool any = has(description_key) || has(digest_key) || has(program_key) || has(format_key) || has(rest_key);
  const bool consistent = first && second == (has(format_key) || has(rest_key));
  LAWA_CHECK(!any || (consistent && Json::parse(value_of(header, description_key), nullptr, false).is_object()), path.string(),
             ": is damaged: its header lacks some of what an average's says (lawa.…)");
  return any;
}

}  // namespace

PlacedFile open_safetensors(const fs::path& path) {
  const SafetensorsHeader header = read_safetensors_header(path);
  const ByteFile bytes(path, ByteFile::Mode::read);
  PlacedFile file = placed(path, header);
  file.identity = fingerprint(bytes, header);
  file.own_words = words_of(header);
  if (!is_average(header, path)) return file;
  file.average = Json::parse(value_of(header, description_key));
  file.digest = value_of(header, digest_key);
  const std::string rest = value_of(header, rest_key);  // averages that were written before have none
  LAWA_CHECK(rest.empty() || rest == rest_digest(header, bytes, header), path.string(),
             ": is damaged: its header or a tensor that was copied isn't what was written (the digest ", rest_key, " doesn't verify)");
  return file;
}

PlacedFile lay_out_safetensors_average(const fs::path& path, const fs::path& newest, const Json& description, NumberFormat numbers) {
  const SafetensorsHeader like = read_safetensors_header(newest);
  std::vector<TensorEntry> tensors = like.tensors;
  for (TensorEntry& tensor : tensors)
    if (is_averaged(tensor)) tensor.dtype = numbers == NumberFormat::bfloat16 ? "BF16" : "F32";
  auto metadata = like.metadata;
  metadata.emplace("format", "pt");  // transformers asks for it
  metadata[description_key] = description.dump();
  metadata[digest_key] = metadata[rest_key] = no_digest;
  metadata[program_key] = "lawa " + version().number + " " + version().git;
  metadata[format_key] = "2";
  const SafetensorsHeader header = lay_out_safetensors(std::move(tensors), metadata).first;

  PartGuard part(path);
  const ByteFile from(newest, ByteFile::Mode::read);
  ByteFile to(part_of(path), ByteFile::Mode::create);
  to.reserve(header.file_bytes);
  const std::string named = text_with(header, no_digest, rest_digest(header, from, like));
  to.write(0, std::as_bytes(std::span(named)));
  for (const TensorEntry& tensor : header.tensors) {
    if (is_averaged(tensor)) continue;
    const int64_t at = std::ranges::find(like.tensors, tensor.name, &TensorEntry::name)->bytes.begin;
    for_each_piece(from, {at, at + tensor.bytes.size()},
                   [&](int64_t begin, std::span<const std::byte> bytes) { to.write(tensor.bytes.begin + begin - at, bytes); });
  }
  to.close();
  PlacedFile file = placed(path, header);
  file.digest = no_digest;
  part.keep();
  return file;
}

void seal_safetensors_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably) {
  const fs::path part = part_of(laid_out.path);
  {
    ByteFile file(part, ByteFile::Mode::update);
    const SafetensorsHeader header = read_safetensors_header(part);
    const std::string rest = value_of(header, rest_key);
    LAWA_CHECK(rest == rest_digest(header, file, header), part.string(), ": its header or a copied tensor isn't what was written");
    const std::string text = text_with(header, digest_of(checksums), rest);  // as long as the one before: nothing moves
    file.write(0, std::as_bytes(std::span(text)));
    file.close();
  }
  commit_file(laid_out.path, durably);
}

}  // namespace lawa
