// Token files: raw little-endian uint16 as nanoGPT writes them, or llm.c's shards.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/range.hpp"

namespace lawa {

/// One file, mapped into memory and read where it is touched. Move-only.
class TokenFile {
 public:
  /// Errors: it can't be opened, is empty, has an odd number of bytes, or an llm.c header that doesn't fit its size.
  explicit TokenFile(const std::filesystem::path& path);
  TokenFile(TokenFile&& other) noexcept;
  TokenFile& operator=(TokenFile&&) = delete;
  ~TokenFile();

  const std::string& path() const { return path_; }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  std::span<const uint16_t> tokens() const { return tokens_; }

 private:
  std::string path_;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  std::span<const uint16_t> tokens_;
};

/// Several files as one set of windows of T + 1 tokens; a window never crosses a file.
class TokenSet {
 public:
  /// `key` is the config key that names the files, for messages ("data.train (train.toml:4)"). Errors: no file; TokenFile's.
  TokenSet(const std::vector<std::string>& paths, std::string key);

  /// Tokens in all files.
  int64_t size() const;
  /// Places where a window of `length` + 1 tokens can begin. Errors: there is no such place.
  int64_t windows(int64_t length) const;
  /// Window `index` of windows(length): length + 1 consecutive tokens.
  std::span<const uint16_t> window(int64_t index, int64_t length) const;
  /// Consecutive windows that overlap by one token: how many there are, and where the i-th lies. Fixed whatever the seed.
  int64_t consecutive_windows(int64_t length) const;
  std::span<const uint16_t> consecutive_window(int64_t index, int64_t length) const;

  /// Reading every token once, in blocks, shared out over ranks: the set's digest, and a check that ids are below the vocabulary.
  int64_t blocks() const;
  /// The digests of some blocks, 32 hexadecimal digits each. Errors: an id >= vocabulary (names the file, the place and the id);
  /// Stopped.
  std::string check_blocks(Range blocks, int64_t vocabulary) const;

 private:
  std::string key_;
  std::vector<TokenFile> files_;
};

}  // namespace lawa
