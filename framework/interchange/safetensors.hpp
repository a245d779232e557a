// The header of a safetensors file: which tensors it holds, in which numbers, and where.
//
//   8 bytes   uint64: length of the header
//   header    JSON: {"__metadata__": {key: text, …} or null, name: {"dtype": "F32", "shape": […], "data_offsets": [begin, end]}, …};
//             spaces may follow
//   data      the tensors' bytes, row-major and little-endian, one behind the other; data_offsets count from here
//
// The tensors' bytes are read and written by the caller, at the places that the header gives (core/byte_file.hpp).
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/number_format.hpp"
#include "core/range.hpp"

namespace lawa {

struct TensorEntry {
  std::string name;
  std::string dtype;  ///< as the file says it: BOOL, U8, I64, F8_E4M3, F4, BF16, F32, C64, …: those of safetensors 0.7
  std::vector<int64_t> shape;  ///< empty for a scalar; extents may be 0
  Range bytes;                 ///< its place in the file, from the file's beginning

  /// Elements. Errors: a negative extent, or more elements than an int64_t counts; never so for an entry of a SafetensorsHeader.
  int64_t size() const;
  /// What it takes in a file. Errors: an unknown dtype, and the same.
  int64_t stored_bytes() const;
  /// How its numbers are converted: for F16, BF16, F32 and F64; none for the others.
  std::optional<NumberFormat> format() const;
  /// Integers, or true and false.
  bool counts() const { return dtype == "BOOL" || dtype.starts_with('I') || dtype.starts_with('U'); }
  bool operator==(const TensorEntry&) const = default;
};

/// "F32", "BF16", …
const char* dtype_name(NumberFormat format);

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  ///< by ascending bytes.begin; the last ends where the file does
  std::map<std::string, std::string> metadata;
  int64_t file_bytes = 0;

  /// Where the tensors' bytes begin in the file.
  int64_t data_begin() const { return tensors.empty() ? file_bytes : tensors.front().bytes.begin; }

  bool operator==(const SafetensorsHeader&) const = default;
};

/// Reads and checks the header; takes no memory that the file's own size doesn't warrant. Errors name the file and the tensor:
/// a header that is too long, cut, or no JSON of the form above (fields of other names and names that stand twice included);
/// an unknown dtype; a place whose size isn't the shape's; tensors that overlap, leave bytes between or behind them, or lie
/// outside the file.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// The header of a file of tensors with these names, dtypes and shapes (`bytes` is ignored and filled in), and the text that the
/// file begins with: length, JSON and padding, the same for the same arguments. Tensors of wider numbers come first, those of
/// one width in the given order, and the data begin at a multiple of 64: so every tensor begins at a multiple of its numbers'
/// width. Errors: names that stand twice, are "__metadata__" or (metadata too) not UTF-8; unknown dtypes; negative extents; sizes
/// that an int64_t can't hold; a header above 100,000,000 bytes.
std::pair<SafetensorsHeader, std::string> lay_out_safetensors(std::vector<TensorEntry> tensors,
                                                              const std::map<std::string, std::string>& metadata);

}  // namespace lawa
