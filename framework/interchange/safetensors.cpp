#include "interchange/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <span>
#include <string_view>

#include "core/byte_file.hpp"
#include "core/error.hpp"
#include "core/json.hpp"

namespace lawa {
namespace {

static_assert(std::endian::native == std::endian::little, "the header's length is read as it lies in memory");

constexpr int64_t length_bytes = 8, most_header_bytes = 100'000'000, data_alignment = 64;
constexpr int64_t most = std::numeric_limits<int64_t>::max(), most_data_bytes = most - length_bytes - most_header_bytes;
const std::string metadata_name = "__metadata__";

struct Dtype {
  std::string_view name;
  int64_t bits;  ///< of one element
  std::optional<NumberFormat> format = {};
};
constexpr Dtype dtypes[] = {
    {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"BOOL", 8}, {"U8", 8}, {"I8", 8}, {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16, NumberFormat::float16},
    {"BF16", 16, NumberFormat::bfloat16}, {"I32", 32}, {"U32", 32}, {"F32", 32, NumberFormat::float32}, {"I64", 64}, {"U64", 64},
    {"F64", 64, NumberFormat::float64}, {"C64", 64}};

/// How messages begin that are about one tensor of the file `place`.
std::string tensor_of(const std::string& place, const std::string& name) { return concat(place, ": tensor \"", name, '"'); }

const Dtype& dtype_of(const TensorEntry& entry, const std::string& place) {
  const auto* found = std::ranges::find(dtypes, entry.dtype, &Dtype::name);
  LAWA_CHECK(found != std::end(dtypes), tensor_of(place, entry.name), " has an unknown dtype, ", entry.dtype);
  return *found;
}

/// Elements of a tensor.
int64_t product(const TensorEntry& entry, const std::string& place) {
  int64_t total = 1;
  for (const int64_t extent : entry.shape) {
    LAWA_CHECK(extent >= 0, tensor_of(place, entry.name), " has a negative extent, ", extent);
    LAWA_CHECK(extent == 0 || total <= most / extent, tensor_of(place, entry.name), " is too large: its size overflows");
    total *= extent;
  }
  return total;
}

int64_t bytes_of_tensor(const TensorEntry& entry, const std::string& place) {
  const int64_t elements = product(entry, place), bits = dtype_of(entry, place).bits, rest = elements % 8 * bits;  // eights are whole bytes
  LAWA_CHECK(elements / 8 < most / bits, tensor_of(place, entry.name), " is too large: its size overflows");
  LAWA_CHECK(rest % 8 == 0, tensor_of(place, entry.name), ": ", elements, " numbers of ", bits, " bits aren't whole bytes");
  return elements / 8 * bits + rest / 8;
}

/// Takes the header's JSON event by event, which builds no tree and stops at the first thing that the format has no place for: a
/// header is up to 100 MB of anybody's making.
class HeaderParser final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderParser(std::string place) : place_(std::move(place)) {}

  std::vector<TensorEntry> tensors;  ///< in the file's order; their bytes are counted from the data's beginning
  std::map<std::string, std::string> metadata;

  bool start_object(size_t) override {
    if (depth_ >= 2) refuse();
    if (++depth_ == 2) {
      fields_.clear();
      if (!in_metadata()) tensors.push_back({.name = name_, .dtype = {}, .shape = {}, .bytes = {}});
    }
    return true;
  }
  bool key(std::string& text) override {
    const bool is_name = depth_ == 1;
    const bool is_new = (is_name ? names_ : fields_).insert(text).second;
    LAWA_CHECK(is_new, is_name ? place_ : entry(), ": \"", text, "\" stands there twice");
    (is_name ? name_ : field_) = text;
    LAWA_CHECK(is_name || in_metadata() || text == "dtype" || is_list(), entry(), " has an unknown field, \"", text, '"');
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !in_metadata())
      LAWA_CHECK(fields_.size() == 3, entry(), " doesn't have all of dtype, shape and data_offsets");
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ != 2 || is_list()) refuse();
    (in_metadata() ? metadata[field_] : tensors.back().dtype) = text;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || !is_list()) refuse();
    ++depth_;
    list_.clear();
    return true;
  }
  bool number_unsigned(uint64_t number) override {
    if (depth_ != 3 || number > static_cast<uint64_t>(most)) refuse();
    list_.push_back(static_cast<int64_t>(number));
    return true;
  }
  bool end_array() override {
    --depth_;
    if (field_ == "shape") {
      tensors.back().shape = list_;
    } else {
      LAWA_CHECK(list_.size() == 2, entry(), " has ", list_.size(), " data_offsets, not 2");
      tensors.back().bytes = {list_[0], list_[1]};
    }
    return true;
  }
  bool null() override {
    if (depth_ != 1 || !in_metadata()) refuse();
    return true;
  }
  bool boolean(bool) override { refuse(); }
  bool number_integer(int64_t) override { refuse(); }  // a negative one
  bool number_float(double, const std::string&) override { refuse(); }
  bool binary(Json::binary_t&) override { refuse(); }
  bool parse_error(size_t, const std::string&, const Json::exception& error) override {
    fail(__FILE__, __LINE__, place_, ": the header isn't JSON: ", error.what());
  }

 private:
  bool in_metadata() const { return name_ == metadata_name; }
  /// Whether the field is one that holds a list of integers.
  bool is_list() const { return !in_metadata() && (field_ == "shape" || field_ == "data_offsets"); }
  std::string entry() const { return in_metadata() ? place_ + ": " + metadata_name : tensor_of(place_, name_); }
  /// The value that begins here isn't one that belongs here.
  [[noreturn]] void refuse() const {
    LAWA_CHECK(depth_ > 1, entry(), " isn't an object");
    fail(__FILE__, __LINE__, entry(), ": \"", field_, "\" isn't a ", is_list() ? "list of non-negative integers" : "text");
  }

  std::string place_;
  int depth_ = 0;  ///< 1 in the header's object, 2 in an entry's, 3 in a list
  std::string name_, field_;  ///< of the entry, and in it
  std::set<std::string> names_, fields_;
  std::vector<int64_t> list_;
};

/// The header's text, of a length that the file can have.
std::string read_header_text(const ByteFile& file, const std::string& place) {
  const int64_t file_bytes = file.size();
  LAWA_CHECK(file_bytes >= length_bytes, place, ": has ", file_bytes, " bytes: no safetensors file, or truncated");
  uint64_t length = 0;
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  LAWA_CHECK(std::memcmp(&length, "version ", sizeof length) != 0, place, ": is a pointer of Git LFS, not the file; `git lfs pull` fetches that");
  LAWA_CHECK(length <= static_cast<uint64_t>(most_header_bytes), place, ": no safetensors file: a header of ", length,
             " bytes, and at most ", most_header_bytes, " are allowed");
  LAWA_CHECK(static_cast<int64_t>(length) <= file_bytes - length_bytes, place, ": the header has ", length,
             " bytes and the file ", file_bytes, " (truncated)");
  std::string text(length, ' ');
  file.read(length_bytes, std::as_writable_bytes(std::span(text)));
  LAWA_CHECK(text.starts_with('{'), place, ": no safetensors file: its header doesn't begin with {");
  // The JSON parser would take it for the end of the text.
  LAWA_CHECK(text.find('\0') == text.npos, place, ": the header has a zero byte");
  return text;
}

/// Every tensor has the size of its shape, and together they cover `data_bytes` bytes once. Sorts them by their places.
void check_places(std::vector<TensorEntry>& tensors, int64_t data_bytes, const std::string& place) {
  for (const TensorEntry& tensor : tensors) {
    const auto [begin, end] = tensor.bytes;
    const std::string subject = tensor_of(place, tensor.name);
    LAWA_CHECK(begin <= end && end <= data_bytes, subject, " lies at [", begin, ", ", end, ") of ", data_bytes, " bytes of data",
               end > data_bytes ? " (truncated)" : "");
    const int64_t bytes = bytes_of_tensor(tensor, place);
    LAWA_CHECK(bytes == end - begin, subject, " has ", end - begin, " bytes, and its shape and dtype need ", bytes);
  }
  const auto place_of = [](const TensorEntry& tensor) { return std::pair(tensor.bytes.begin, tensor.bytes.end); };
  std::ranges::stable_sort(tensors, {}, place_of);  // an empty tensor stands before the one that begins at its place
  int64_t at = 0;
  for (const TensorEntry& tensor : tensors) {
    const int64_t begin = tensor.bytes.begin;
    LAWA_CHECK(begin == at, tensor_of(place, tensor.name), " begins at byte ", begin, " of the data, and those before it end at ",
               at, begin < at ? " (an overlap)" : " (a hole)");
    at = tensor.bytes.end;
  }
  LAWA_CHECK(at == data_bytes, place, ": the tensors end at byte ", at, " of ", data_bytes, " bytes of data");
}

/// From places in the data to places in the file.
void shift_places(std::vector<TensorEntry>& tensors, int64_t by) {
  for (TensorEntry& tensor : tensors) tensor.bytes = {tensor.bytes.begin + by, tensor.bytes.end + by};
}

/// As compact JSON, in the order of the tensors.
std::string header_json(const std::vector<TensorEntry>& tensors, const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  const auto add = [&](const std::string& name, const Json& value) {
    if (text.size() > 1) text += ',';
    text += Json(name).dump() + ':' + value.dump();
  };
  if (!metadata.empty()) add(metadata_name, metadata);
  for (const auto& [name, dtype, shape, bytes] : tensors)
    add(name, {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {bytes.begin, bytes.end}}});
  return text + "}";
}

}  // namespace

int64_t TensorEntry::size() const { return product(*this, "safetensors"); }

int64_t TensorEntry::stored_bytes() const { return bytes_of_tensor(*this, "safetensors"); }

std::optional<NumberFormat> TensorEntry::format() const {
  const auto* found = std::ranges::find(dtypes, dtype, &Dtype::name);
  return found == std::end(dtypes) ? std::nullopt : found->format;
}

const char* dtype_name(NumberFormat format) { return std::ranges::find(dtypes, std::optional(format), &Dtype::format)->name.data(); }

SafetensorsHeader read_safetensors_header(const std::filesystem::path& path) {
  const std::string place = path.string();
  const ByteFile file(path, ByteFile::Mode::read);
  const std::string text = read_header_text(file, place);
  HeaderParser parser(place);
  Json::sax_parse(text, &parser);
  SafetensorsHeader header{std::move(parser.tensors), std::move(parser.metadata), file.size()};
  const int64_t data_begin = length_bytes + std::ssize(text);
  check_places(header.tensors, header.file_bytes - data_begin, place);
  shift_places(header.tensors, data_begin);
  return header;
}

std::pair<SafetensorsHeader, std::string> lay_out_safetensors(std::vector<TensorEntry> tensors,
                                                              const std::map<std::string, std::string>& metadata) {
  const std::string place = "safetensors";
  std::set<std::string> names{metadata_name};
  for (const TensorEntry& tensor : tensors)
    LAWA_CHECK(names.insert(tensor.name).second, place, ": no tensor may have the name \"", tensor.name, "\", which is taken");
  std::ranges::stable_sort(tensors, std::greater(), [&](const TensorEntry& tensor) { return dtype_of(tensor, place).bits; });
  int64_t at = 0;
  for (TensorEntry& tensor : tensors) {
    const int64_t bytes = bytes_of_tensor(tensor, place);
    LAWA_CHECK(bytes <= most_data_bytes - at, tensor_of(place, tensor.name), " is too large: the file's size overflows");
    tensor.bytes = {at, at + bytes};
    at += bytes;
  }
  std::string text;
  try {
    text = header_json(tensors, metadata);
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, place, ": a name or the metadata can't be written as JSON: ", error.what());
  }
  while ((length_bytes + std::ssize(text)) % data_alignment != 0) text += ' ';
  LAWA_CHECK(std::ssize(text) <= most_header_bytes, place, ": a header of ", text.size(), " bytes, and at most ",
             most_header_bytes, " are allowed");
  const auto length = static_cast<uint64_t>(text.size());
  const int64_t data_begin = length_bytes + std::ssize(text);
  shift_places(tensors, data_begin);
  text.insert(0, reinterpret_cast<const char*>(&length), sizeof length);
  return {{std::move(tensors), metadata, data_begin + at}, std::move(text)};
}

}  // namespace lawa
