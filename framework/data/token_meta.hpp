// meta.json beside token files, as data/prepare.py writes it: what can't be seen in the tokens.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lawa {

/// Of one token file. Nothing is known of what isn't said.
struct TokenMeta {
  std::filesystem::path path{};              ///< of the meta.json; empty: it says nothing of the file
  std::optional<int> token_bytes{};          ///< "dtype": 2 or 4
  std::optional<int64_t> vocabulary{};       ///< "vocabulary_size": ids are below it
  std::string tokenizer{};                   ///< "tokenizer"
  std::optional<int64_t> tokens{}, bytes{};  ///< "files": {NAME: {"tokens": …, "bytes": …}}; bytes of the text
};

/// What the meta.json in the folder of `file` says of it; a meta.json with "files" is of no others. Errors: it isn't a JSON object; a dtype
/// that isn't read; a number that is none.
TokenMeta token_meta(const std::filesystem::path& file);

}  // namespace lawa
