// Token files: raw little-endian uint16 as nanoGPT writes them, or llm.c's shards.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/byte_file.hpp"

namespace lawa {

/// Where the tokens of a file lie, and what it was like when it was looked at.
struct TokenFile {
  std::filesystem::path path;
  int64_t first_byte = 0, size = 0;  ///< behind a header; tokens
  FileStamp stamp;
};
/// Errors: ByteFile's; the file is empty, has an odd number of bytes, or an llm.c header that doesn't fit its size.
TokenFile token_file(const std::filesystem::path& path);

/// Several files as one set of windows of T + 1 tokens; a window never crosses a file. Files are read, not mapped: one that is cut or
/// overwritten while it is used is an error, not a signal.
class TokenSet {
 public:
  /// `key` is the config key that names the files, for messages ("data.train (train.toml:4)"); ids must be below `vocabulary`. Errors: no
  /// file; token_file's.
  TokenSet(const std::vector<std::string>& paths, std::string key, int64_t vocabulary = int64_t{1} << 16);

  /// Tokens in all files.
  int64_t size() const;
  /// Places where a window of `length` + 1 tokens can begin. Errors: there is no such place.
  int64_t windows(int64_t length) const;
  /// Window `index` of windows(length): length + 1 consecutive tokens. Errors: read's; an id that isn't below the vocabulary.
  std::vector<uint16_t> window(int64_t index, int64_t length) const;
  /// Consecutive windows that overlap by one token: how many there are, and the i-th. Fixed whatever the seed. Errors: as above.
  int64_t consecutive_windows(int64_t length) const;
  std::vector<uint16_t> consecutive_window(int64_t index, int64_t length) const;

  const std::string& key() const { return key_; }
  int64_t vocabulary() const { return vocabulary_; }
  const std::vector<TokenFile>& files() const { return files_; }
  /// Tokens of one file from the begin-th on. Errors: ByteFile's; the file has been changed, or replaced, since the set was made.
  void read(const TokenFile& file, int64_t begin, std::span<uint16_t> out) const;
  /// Errors: the file's token number `at` is `id`, which isn't below the vocabulary.
  void check_id(const TokenFile& file, int64_t at, uint16_t id) const;

 private:
  void check_unchanged(const TokenFile& file, const FileStamp& now) const;
  std::vector<uint16_t> checked(const TokenFile& file, int64_t begin, int64_t count) const;

  std::string key_;
  int64_t vocabulary_;
  std::vector<TokenFile> files_;
  mutable OpenFiles open_;
};

/// 0 where there are none.
uint16_t largest_of(std::span<const uint16_t> tokens);

}  // namespace lawa
