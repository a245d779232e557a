#include "data/token_meta.hpp"

#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/json.hpp"

namespace lawa {
namespace {

/// "little-endian uint16", "<u2", "numpy.uint16", … Errors: another type.
int bytes_of_type(const std::string& written, const std::string& path) {
  std::string type = written;
  for (const std::string prefix : {"little-endian ", "numpy.", "np.", "torch.", "<", "="})
    if (type.starts_with(prefix)) type.erase(0, prefix.size());
  if (std::set<std::string>{"uint16", "u2"}.contains(type)) return 2;
  if (std::set<std::string>{"uint32", "u4", "int32", "i4"}.contains(type)) return 4;
  fail(__FILE__, __LINE__, path, ": dtype is ", written, ", and token files of uint16 and uint32 are read; numpy.fromfile(FILE, dtype)",
       ".astype(\"<u2\").tofile(NEW) makes one, or \"<u4\" for ids above 65535");
}

/// Nothing where the object doesn't have the key, or has null.
std::optional<int64_t> count_in(const Json& object, const std::string& key, const std::string& path) {
  if (!object.contains(key) || object[key].is_null()) return std::nullopt;
  LAWA_CHECK(object[key].is_number_integer() && object[key].get<int64_t>() >= 0, path, ": ", key, " is ", object[key].dump(), ", and must be an integer from 0, below 2^63");
  return object[key].get<int64_t>();
}

std::optional<int64_t> first_of(const std::optional<int64_t>& a, const std::optional<int64_t>& b) { return a ? a : b; }

}  // namespace

TokenMeta token_meta(const std::filesystem::path& file) {
  const std::filesystem::path path = file.parent_path() / "meta.json";
  std::error_code unknown;
  if (!std::filesystem::exists(path, unknown)) return {};
  const std::string name = path.string();
  const Json meta = json_or_null(read_file(path));
  LAWA_CHECK(meta.is_object(), name, ": isn't a JSON object: mend it, or remove it if it isn't of the token files beside it");
  TokenMeta found{.path = path};
  if (meta.contains("files") && meta["files"].is_object() && !meta["files"].empty()) {
    const auto entry = meta["files"].find(file.filename().string());
    if (entry == meta["files"].end()) return {};
    found.tokens = count_in(*entry, "tokens", name);
    found.bytes = count_in(*entry, "bytes", name);
  }
  if (meta.contains("dtype") && !meta["dtype"].is_null()) {
    LAWA_CHECK(meta["dtype"].is_string(), name, ": dtype is ", meta["dtype"].dump(), ", and must be a string: \"uint16\" or \"uint32\"");
    found.token_bytes = bytes_of_type(meta["dtype"], name);
  }
  found.vocabulary = first_of(count_in(meta, "vocabulary_size", name), count_in(meta, "vocab_size", name));
  if (meta.contains("tokenizer") && meta["tokenizer"].is_string()) found.tokenizer = meta["tokenizer"];
  return found;
}

}  // namespace lawa
