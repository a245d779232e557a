// Token files: raw little-endian uint16 as nanoGPT writes them, or uint32; llm.c's shards of either.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/byte_file.hpp"
#include "data/token_format.hpp"

namespace lawa {

using TokenId = uint32_t;

/// Where the tokens of a file lie, and what it was like when it was looked at.
struct TokenFile {
  std::filesystem::path path;
  int64_t first_byte = 0, size = 0;  ///< behind a header; tokens
  int token_bytes = 2;               ///< 2: uint16; 4: uint32
  FileStamp stamp{};
  TokenMeta meta{};                  ///< what the meta.json beside it says
};
/// Errors: ByteFile's; token_format's; token_meta's.
TokenFile token_file(const std::filesystem::path& path);

/// Several files as one set of windows of T + 1 tokens; a window never crosses a file. Files are read, not mapped: one that is cut or
/// overwritten while it is used is an error, not a signal.
class TokenSet {
 public:
  /// Of the files that `words` name (token_paths). `key` is the config key that names them, for messages ("data.train (train.toml:4)"); ids
  /// must be below `vocabulary`. Errors: no file; token_paths', token_file's; two files whose meta.json name different tokenizers or
  /// vocabularies, or one whose vocabulary is larger than this.
  TokenSet(const std::vector<std::string>& words, std::string key, int64_t vocabulary = int64_t{1} << 32);

  /// Tokens in all files.
  int64_t size() const;
  /// What the meta.json beside the files call it; "" where none does.
  std::string tokenizer() const;
  /// Bytes of the text of all files; nothing where a file's meta.json doesn't say it.
  std::optional<int64_t> text_bytes() const;
  /// Places where a window of `length` + 1 tokens can begin. Errors: there is no such place.
  int64_t windows(int64_t length) const;
  /// Window `index` of windows(length): length + 1 consecutive tokens. Errors: read_bytes'; an id that isn't below the vocabulary.
  std::vector<TokenId> window(int64_t index, int64_t length) const;
  /// Consecutive windows that overlap by one token: how many there are, and the i-th. Fixed whatever the seed. Errors: as above.
  int64_t consecutive_windows(int64_t length) const;
  std::vector<TokenId> consecutive_window(int64_t index, int64_t length) const;

  const std::string& key() const { return key_; }
  int64_t vocabulary() const { return vocabulary_; }
  const std::vector<TokenFile>& files() const { return files_; }
  /// Tokens of one file from the begin-th on, as they lie in the file. Errors: ByteFile's; the file has been changed, or replaced, since the
  /// set was made.
  void read_bytes(const TokenFile& file, int64_t begin, std::span<std::byte> out) const;
  /// Errors: the file's token number `at` is `id`, which isn't below the vocabulary.
  void check_id(const TokenFile& file, int64_t at, TokenId id) const;

 private:
  void check_unchanged(const TokenFile& file, const FileStamp& now) const;
  template <class T>
  void check_ids(const TokenFile& file, int64_t begin, std::span<const T> tokens) const;
  std::vector<TokenId> checked(const TokenFile& file, int64_t begin, int64_t count) const;

  std::string key_;
  int64_t vocabulary_;
  std::vector<TokenFile> files_;
  mutable OpenFiles open_;
  mutable std::vector<uint16_t> narrow_{};  ///< the last window, as it lies in the file
};

/// Errors: the files of the two sets are of different tokenizers or vocabularies, as their meta.json say.
void check_same_tokenizer(const TokenSet& a, const TokenSet& b);

/// 0 where there are none.
uint16_t largest_of(std::span<const uint16_t> tokens);
uint32_t largest_of(std::span<const uint32_t> tokens);

}  // namespace lawa
