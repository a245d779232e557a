#include "core/file_kind.hpp"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/byte_file.hpp"
#include "core/utf8.hpp"

namespace lawa {
namespace {

using namespace std::string_view_literals;
using Group = FileKind::Group;

struct Signature {
  std::string_view bytes;
  Group group;
  const char *name, *remedy = "";
  size_t at = 0;
};

constexpr const char* text_remedy = "data/prepare.py makes token files of text";
constexpr const char* torch_remedy = "torch.load or numpy.load reads it";

constexpr Signature signatures[] = {
    {"version https://git-lfs.github.com/spec"sv, Group::pointer, "a Git LFS pointer", "git lfs pull puts the file in its place"},
    {"version https://hawser.github.com/spec"sv, Group::pointer, "a Git LFS pointer", "git lfs pull puts the file in its place"},
    {"/annex/objects/"sv, Group::pointer, "a git-annex pointer", "git annex get puts the file in its place"},
    {"../.git/annex/objects/"sv, Group::pointer, "a git-annex pointer", "git annex get puts the file in its place"},
    {"\x93NUMPY"sv, Group::array, "a NumPy array (.npy)", "numpy.load(FILE).astype(\"<u2\").tofile(NEW), or \"<u4\" for ids above 65535"},
    {"PK\x03\x04"sv, Group::packed, "a zip archive, as torch.save and numpy.savez write them", torch_remedy},
    {"PK\x05\x06"sv, Group::packed, "an empty zip archive"},
    {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv, Group::packed, "a file of torch.save", torch_remedy},
    {"\x1f\x8b\x08"sv, Group::packed, "a gzip archive", "gunzip FILE unpacks it"},
    {"\xfd\x37zXZ\0"sv, Group::packed, "an xz archive", "unxz FILE unpacks it"},
    {"\x28\xb5\x2f\xfd"sv, Group::packed, "a zstd archive", "unzstd FILE unpacks it"},
    {"\x04\x22\x4d\x18"sv, Group::packed, "an lz4 archive", "unlz4 FILE unpacks it"},
    {"7z\xbc\xaf\x27\x1c"sv, Group::packed, "a 7z archive", "7z x FILE unpacks it"},
    {"Rar!\x1a\x07"sv, Group::packed, "a RAR archive", "unrar x FILE unpacks it"},
    {"1AY&SY"sv, Group::packed, "a bzip2 archive", "bunzip2 FILE unpacks it", 4},
    {"ustar"sv, Group::packed, "a tar archive", "tar xf FILE unpacks it", 257},
    {"\x89HDF\r\n\x1a\n"sv, Group::model, "an HDF5 file"},
    {"GGUF"sv, Group::model, "a GGUF model"},
    {"PAR1"sv, Group::rows, "a Parquet table", text_remedy},
    {"ARROW1\0\0"sv, Group::rows, "an Arrow table", text_remedy},
    {"\xff\xff\xff\xff"sv, Group::rows, "an Arrow stream, as datasets writes it", text_remedy},
    {"SQLite format 3\0"sv, Group::rows, "an SQLite database"},
    {"MMIDIDX\0\0"sv, Group::array, "Megatron's index of a token file", "the tokens are in the .bin beside it"},
    {"%PDF-"sv, Group::text, "a PDF document"},
    {"\x7f" "ELF"sv, Group::unknown, "a program"},
    {"\x89PNG\r\n\x1a\n"sv, Group::unknown, "a picture"},
};

/// Whether at `at` a length stands, and so many bytes behind it.
bool has_length(std::string_view beginning, size_t at, int64_t size) {
  uint64_t length = 0;
  if (beginning.size() < at + sizeof length + 2) return false;
  std::memcpy(&length, beginning.data() + at, sizeof length);
  return length >= 2 && length <= static_cast<uint64_t>(size) - at - sizeof length;
}

/// A length and a JSON object.
bool is_safetensors(std::string_view beginning, int64_t size) {
  if (!has_length(beginning, 0, size)) return false;
  const std::string_view object = beginning.substr(8);
  return object.starts_with("{\"") || object.starts_with("{}");
}

/// Protocol 4 or 5, and a frame with its length.
bool is_pickle(std::string_view beginning, int64_t size) {
  return (beginning.starts_with("\x80\x04\x95") || beginning.starts_with("\x80\x05\x95")) && has_length(beginning, 3, size);
}

/// Control characters that texts don't hold.
bool is_control(unsigned char c) { return (c < ' ' && std::strchr("\t\n\v\f\r\x1b", c) == nullptr) || c == 0 || c == 127; }

/// Whether these bytes may begin a UTF-8 text: what the last three begin may be cut.
bool begins_utf8(std::string_view text) {
  size_t at = 0;
  for (size_t bytes = 0; at < text.size() && (bytes = character_bytes(text, at)) > 0; at += bytes) {}
  return text.size() - at < 4 && (at == text.size() || static_cast<unsigned char>(text[at]) >= 0xc2);
}

/// Ids hold control characters among their bytes, those of every vocabulary, and texts don't.
bool is_text(std::string_view beginning) {
  constexpr size_t enough = 256, controls_in = 200, least_letters = 8;
  const auto controls = static_cast<size_t>(std::ranges::count_if(beginning, [](char c) { return is_control(static_cast<unsigned char>(c)); }));
  if (controls * controls_in > beginning.size() || beginning.empty()) return false;
  if (begins_utf8(beginning)) return true;
  std::bitset<256> letters;
  for (const char c : beginning) letters.set(static_cast<unsigned char>(c));
  return beginning.size() >= enough && letters.count() >= least_letters;  // in an older encoding
}

FileKind kind_of_text(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const std::string_view body = text.substr(first);
  if (body.find_first_not_of("0123456789 \t\r\n,;[]") == body.npos)
    return {Group::text, "numbers written as text", "numpy.fromstring(text, sep=\" \").astype(\"<u2\").tofile(NEW) makes tokens of them"};
  if (body.starts_with("<!DOCTYPE") || body.starts_with("<!doctype") || body.starts_with("<html")) return {Group::text, "a web page, not what was to be downloaded", ""};
  if (body.starts_with("{\"") || body.starts_with("[{") || body.starts_with("{\n"))
    return {Group::text, body.find("\"weight_map\"") != body.npos ? "an index of a model's shards (JSON)" : "JSON text", text_remedy};
  return {Group::text, "text", text_remedy};
}

}  // namespace

FileKind file_kind(std::span<const std::byte> beginning, int64_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  for (const Signature& known : signatures)
    if (bytes.size() >= known.at && bytes.substr(known.at).starts_with(known.bytes)) return {known.group, known.name, known.remedy};
  if (is_pickle(bytes, size)) return {Group::packed, "a Python pickle", torch_remedy};
  if (is_safetensors(bytes, size)) return {Group::model, "a safetensors file"};
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) return {Group::text, "text in UTF-16", "iconv -t UTF-8 makes UTF-8 of it"};
  const bool marked = bytes.starts_with("\xef\xbb\xbf");
  return is_text(bytes) ? kind_of_text(bytes.substr(marked ? 3 : 0)) : FileKind{};
}

FileKind file_kind(const std::filesystem::path& path) {
  const ByteFile file(path, ByteFile::Mode::read);
  std::vector<std::byte> beginning(file_kind_bytes);
  beginning.resize(file.read_some(0, beginning));
  return file_kind(beginning, file.size());
}

}  // namespace lawa
