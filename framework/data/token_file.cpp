#include "data/token_file.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "core/file_kind.hpp"
#include "data/token_paths.hpp"

namespace lawa {
namespace {

/// Of the files that this process may open, those of one set.
size_t most_open() { return std::clamp<size_t>(open_file_limit() / 4, 16, 4096); }

/// The windows of some files that begin at each file's multiples of `stride`, as one list: calls use(file, begin) for the index-th.
template <class Use>
auto at_window(const std::vector<TokenFile>& files, int64_t index, int64_t length, int64_t stride, Use&& use) {
  for (const TokenFile& file : files) {
    const int64_t here = std::max<int64_t>(0, (file.size - length - 1 + stride) / stride);
    if (index < here) return use(file, index * stride);
    index -= here;
  }
  fail(__FILE__, __LINE__, "there are fewer windows of ", length + 1, " tokens: ", index, " behind the last");
}

// A loop without a way out, unlike std::ranges::max_element: it becomes vector instructions.
template <class T>
T largest_in(std::span<const T> tokens) {
  T largest = 0;
  for (const T token : tokens) largest = std::max(largest, token);
  return largest;
}

/// Errors: what the meta.json of two files say of their tokens doesn't go together.
void check_same_tokenizer(const TokenFile& a, const TokenFile& b, const std::string& keys) {
  const auto said = [](const TokenFile& file) {
    return file.meta.tokenizer + (file.meta.vocabulary ? " with a vocabulary of " + std::to_string(*file.meta.vocabulary) : "");
  };
  const bool both_named = !a.meta.tokenizer.empty() && !b.meta.tokenizer.empty(), both_sized = a.meta.vocabulary && b.meta.vocabulary;
  LAWA_CHECK((!both_named || a.meta.tokenizer == b.meta.tokenizer) && (!both_sized || a.meta.vocabulary == b.meta.vocabulary), keys, ": ",
             a.path.string(), " and ", b.path.string(), " are of different tokenizers, as the meta.json beside them say: ", said(a), ", and ", said(b),
             "; prepare all texts with one (data/prepare.py --tokenizer)");
}

}  // namespace

uint16_t largest_of(std::span<const uint16_t> tokens) { return largest_in(tokens); }
uint32_t largest_of(std::span<const uint32_t> tokens) { return largest_in(tokens); }

TokenFile token_file(const std::filesystem::path& path) {
  const ByteFile bytes(path, ByteFile::Mode::read);
  TokenFile file{.path = path, .stamp = bytes.stamp(), .meta = token_meta(path)};
  std::vector<std::byte> beginning(file_kind_bytes);
  beginning.resize(bytes.read_some(0, beginning));
  const TokenFormat format = token_format(beginning, file.stamp.bytes, file.meta, path.string());
  file.first_byte = format.first_byte;
  file.size = format.size;
  file.token_bytes = format.token_bytes;
  return file;
}

TokenSet::TokenSet(const std::vector<std::string>& words, std::string key, int64_t vocabulary)
    : key_(std::move(key)), vocabulary_(vocabulary), open_(ByteFile::Mode::read, most_open()) {
  LAWA_CHECK(!words.empty(), key_, ": names no token file");
  for (const std::string& path : token_paths(words, key_)) try {
      files_.push_back(token_file(path));
    } catch (const Error& error) {
      throw Error(key_ + ": " + error.what() + (names_nothing(path) ? "; data/prepare.py makes token files of text" : ""), error.place);
    }
  for (const TokenFile& file : files_) {
    check_same_tokenizer(files_[0], file, key_);
    const TokenMeta& meta = file.meta;
    LAWA_CHECK(meta.vocabulary.value_or(0) <= vocabulary_, key_, ": ", file.path.string(), ": ", meta.path.string(), " says a vocabulary of ",
               *meta.vocabulary, meta.tokenizer.empty() ? "" : " (" + meta.tokenizer + ")", ", and model.vocabulary is ", vocabulary_,
               ": the model's must be as large or larger");
  }
}

void check_same_tokenizer(const TokenSet& a, const TokenSet& b) {
  for (const TokenFile& first : a.files())
    for (const TokenFile& second : b.files()) check_same_tokenizer(first, second, a.key() + " and " + b.key());
}

int64_t TokenSet::size() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += file.size;
  return total;
}

std::string TokenSet::tokenizer() const {
  const auto named = std::ranges::find_if(files_, [](const TokenFile& file) { return !file.meta.tokenizer.empty(); });
  return named == files_.end() ? "" : named->meta.tokenizer;
}

std::optional<int64_t> TokenSet::text_bytes() const {
  int64_t total = 0;
  for (const TokenFile& file : files_) {
    if (!file.meta.bytes) return std::nullopt;
    total += *file.meta.bytes;
  }
  return total;
}

int64_t TokenSet::windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += std::max<int64_t>(0, file.size - length);
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path.string(), " holds ", files_[0].size, " tokens, and a sequence takes ", length + 1,
             ": more text, or a smaller model.context");
  return total;
}

int64_t TokenSet::consecutive_windows(int64_t length) const {
  int64_t total = 0;
  for (const TokenFile& file : files_) total += (file.size - 1) / length;
  LAWA_CHECK(total > 0, key_, ": ", files_[0].path.string(), " holds ", files_[0].size, " tokens, and a sequence takes ", length + 1,
             ": more text, or a smaller model.context");
  return total;
}

std::vector<TokenId> TokenSet::window(int64_t index, int64_t length) const {
  return at_window(files_, index, length, 1, [&](const TokenFile& file, int64_t begin) { return checked(file, begin, length + 1); });
}

std::vector<TokenId> TokenSet::consecutive_window(int64_t index, int64_t length) const {
  return at_window(files_, index, length, length, [&](const TokenFile& file, int64_t begin) { return checked(file, begin, length + 1); });
}

void TokenSet::read_bytes(const TokenFile& file, int64_t begin, std::span<std::byte> out) const {
  const ByteFile& bytes = open_[file.path];
  check_unchanged(file, bytes.stamp());  // a cut file is one that was changed
  bytes.read(file.first_byte + file.token_bytes * begin, out);
  check_unchanged(file, bytes.stamp());  // what changed before the reading shows
}

void TokenSet::check_unchanged(const TokenFile& file, const FileStamp& now) const {
  LAWA_CHECK(now.bytes == file.stamp.bytes && now.modified == file.stamp.modified && now.inode == file.stamp.inode, key_, ": ",
             file.path.string(), ": has been changed while it is used, and its digest is no longer that of its tokens; put the former file "
             "back, or begin a run with the new one");
}

void TokenSet::check_id(const TokenFile& file, int64_t at, TokenId id) const {
  LAWA_CHECK(id < vocabulary_, key_, ": ", file.path.string(), ": token ", at, " is ", id, ", and model.vocabulary is ", vocabulary_,
             ": is it a token file for this model? data/prepare.py makes one of text, with the tokenizer that it is told");
}

template <class T>
void TokenSet::check_ids(const TokenFile& file, int64_t begin, std::span<const T> tokens) const {
  const T largest = largest_of(tokens);
  if (largest >= vocabulary_) check_id(file, begin + (std::ranges::find(tokens, largest) - tokens.begin()), largest);
}

std::vector<TokenId> TokenSet::checked(const TokenFile& file, int64_t begin, int64_t count) const {
  if (file.token_bytes == sizeof(TokenId)) {
    std::vector<TokenId> tokens(static_cast<size_t>(count));
    read_bytes(file, begin, std::as_writable_bytes(std::span(tokens)));
    check_ids<TokenId>(file, begin, tokens);
    return tokens;
  }
  narrow_.resize(static_cast<size_t>(count));
  read_bytes(file, begin, std::as_writable_bytes(std::span(narrow_)));
  check_ids<uint16_t>(file, begin, narrow_);
  return {narrow_.begin(), narrow_.end()};
}

}  // namespace lawa
