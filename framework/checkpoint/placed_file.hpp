// Files of numbers over the flat index space 0..P-1, as everything above a file's format sees them: which elements lie at which bytes.
// A weights file is one segment with checksums of its blocks, a safetensors file a segment a tensor without any, a state file a few
// arrays. A format opens, lays out and seals files (checkpoint/flat_file.hpp, interchange/safetensors_file.hpp); encoding, checksums,
// verification and the counting of bytes are here.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/transposed.hpp"
#include "core/byte_file.hpp"
#include "core/json.hpp"
#include "core/number_format.hpp"
#include "core/range.hpp"
#include "params/parameter_table.hpp"

namespace lawa {

/// What a file says of itself; of files of other programs most of it is empty.
struct FlatHeader {
  std::string kind;                      ///< "weights" or "state"
  int64_t step = 0, trained_tokens = 0;  ///< optimizer steps made, training tokens seen
  std::string trajectory_hash{}, config_hash{}, git{};
  ParameterTable table{};
  std::string config{};  ///< TOML
  Json provenance{};

  /// Everything above as JSON: what `lawa inspect` prints and what a file's header_digest is taken of.
  Json to_json() const;
  static FlatHeader from_json(const Json& json, const std::string& place);
};

/// Consecutive elements of an array, one behind the other from a byte of the file on; or a whole matrix whose transpose lies there.
struct Segment {
  Range elements;
  int64_t offset = 0;
  NumberFormat format = NumberFormat::float32;
  size_t file = 0;  ///< of Places::files
  int64_t transposed_rows = 0;  ///< of a matrix that lies transposed: the rows that it has in the file
};

/// Where an array lies: segments that cover 0..P-1 in ascending order; where a file has them, the XXH3-64 of each block of 4096 numbers.
struct Places {
  std::vector<Segment> segments{};
  std::optional<int64_t> checksums{};  ///< the byte at which they begin
  std::vector<std::string> files{};  ///< in a folder, those that hold it; none: the path is the file

  int64_t size() const { return segments.empty() ? 0 : segments.back().elements.end; }
  bool one_format() const;
  /// The files that a path stands for.
  std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) const;
  /// The places of the tensors of another table, in that one's order; each is in `from`, which these places are of.
  Places of_tensors(const ParameterTable& wanted, const ParameterTable& from) const;
  /// How all its numbers are stored. Errors: in several formats.
  NumberFormat format() const;
  /// Bytes that elements have in the file.
  int64_t bytes(Range elements) const;
  /// A range's part that lies in one piece: `elements` of them, at byte `offset` of the file, with `before` elements and
  /// `bytes_before` bytes of the range before it. Or some of a matrix that lies transposed: then `offset` is where that begins.
  struct Part {
    int64_t offset, elements, before, bytes_before;
    NumberFormat format;
    size_t file;
    std::optional<TransposedRun> transposed;
    int64_t bytes() const { return elements * bytes_of(format); }
    /// The bytes of the file among which it is.
    Range place() const { return {offset, offset + (transposed ? transposed->rows * transposed->columns * transposed->width : bytes())}; }
  };
  template <class F>
  void for_each_part(Range range, F&& f) const {
    int64_t bytes_before = 0;
    for (auto segment = first_behind(range.begin); segment != segments.end() && segment->elements.begin < range.end; ++segment) {
      const Range some = intersect(segment->elements, range);
      const int64_t begin = some.begin - segment->elements.begin, width = bytes_of(segment->format), rows = segment->transposed_rows;
      Part part{segment->offset + begin * width, some.size(), some.begin - range.begin, bytes_before, segment->format, segment->file, {}};
      if (rows > 0) {
        part.offset = segment->offset;
        part.transposed = {segment->offset, rows, segment->elements.size() / rows, {begin, begin + some.size()}, width};
      }
      f(part);
      bytes_before += part.bytes();
    }
  }
  Json to_json() const;
  static Places from_json(const Json& json);

 private:
  /// The first segment that ends behind an element.
  std::vector<Segment>::const_iterator first_behind(int64_t element) const;
};

/// Bytes of a file that are no numbers of the flat space: a tensor of integers, say, which averages copy.
struct CopiedBytes {
  std::string name, what;  ///< "positions", "I64 [33]"
  bool counts = false;     ///< integers, or true and false: an average may have its newest member's
  Range bytes{};
  size_t file = 0;         ///< of Places::files
};

/// A file, opened and verified as far as can be without reading its numbers.
struct PlacedFile {
  std::filesystem::path path;  ///< of a model in several files: their folder
  FlatHeader header;
  std::map<std::string, Places> arrays;  ///< by name: "weights"; of a state "m", "v", …
  std::vector<CopiedBytes> copied{};
  bool says_step = true;   ///< the header's step is the file's own word
  std::string identity{};  ///< tells it from other files: of its contents, or of its header and samples
  std::string digest{};    ///< that its weights must have (digest_of); "" where it names none
  Json average{};          ///< what it says of the average that it holds; null: it isn't one
  Json own_words{};        ///< what `lawa inspect` prints of it

  ParameterTable means{};  ///< of an average some of whose floats are copies: the others, which arrays["means"] holds

  /// The array that the digest is of.
  std::string digested() const { return arrays.contains("means") ? "means" : "weights"; }
  /// Errors: there is no such array.
  const Places& places(const std::string& array) const;
  /// What other ranks need to read it: path, header, places, digest, average.
  Json to_json() const;
  static PlacedFile from_json(const Json& json);
};

/// Blocks of `size` elements.
int64_t block_count(int64_t size);
/// Checksums of consecutive blocks of 4096 stored numbers; the last may be shorter.
std::vector<uint64_t> block_checksums(std::span<const std::byte> stored, NumberFormat format);
/// XXH3-128 over all block checksums of an array: equal for equal contents.
std::string digest_of(std::span<const uint64_t> checksums);

/// Reads an array of one file. Not collective: each rank reads for itself.
class PlacedReader {
 public:
  /// All but the path must outlive it.
  PlacedReader(OpenFiles& open, std::filesystem::path path, const Places& places, const ParameterTable& table,
               std::string array = "weights");

  /// Elements [range.begin, range.end) into `out`. Where the file has checksums, begin is a multiple of 4096 and end too or P, and
  /// every block is verified. Doubles are read from float64; floats from any format (of a file without checksums, where a float64
  /// gives the nearest one). Errors name the file, the array, and the tensors that share a damaged block, or the one whose number is
  /// beyond float32.
  void read(Range range, std::span<float> out);
  void read(Range range, std::span<double> out);
  /// Reads some elements, as read() does, and returns the checksums of their blocks.
  std::vector<uint64_t> checksums_of(Range range);
  /// Bytes of numbers that were read.
  int64_t bytes() const { return bytes_; }

 private:
  std::span<const std::byte> read_stored(Range range, std::span<std::byte> out);
  void verify(Range range, std::span<const std::byte> stored) const;
  void check_narrowed(const Places::Part& part, std::span<const std::byte> stored, std::span<const float> floats, int64_t begin) const;

  OpenFiles& open_;
  std::filesystem::path path_;
  std::vector<std::filesystem::path> files_;
  const Places& places_;
  const ParameterTable& table_;
  std::string array_;
  std::vector<std::byte> stored_{};
  int64_t bytes_ = 0;
};

/// Writes an array of one file that is laid out, each rank its own elements by plain system calls: no rank waits for another, and
/// thousands of files can be under way at a time. Checksums are kept here; who seals the file writes those of all ranks at once.
class PlacedWriter {
 public:
  PlacedWriter(OpenFiles& open, const std::filesystem::path& part, Places places);

  /// Elements [range.begin, …); begin is a multiple of 4096, the end too or P. Floats go to arrays of float32, bfloat16 and float16 (the
  /// format must hold them exactly), doubles to float64 ones. Errors name the file.
  void write(Range range, std::span<const float> values);
  void write(Range range, std::span<const double> values);
  /// The system begins to bring what was written there to the disk.
  void begin_writing_back(Range range) const;
  /// Two steps of reading back what was written in one call: it is brought to the disk and from there on its way into memory; then it
  /// is read, and its checksums must come out again. Errors: they don't.
  void bring_back(Range range) const;
  void verify(Range range);
  /// Of all blocks that were written here, by ascending place.
  std::vector<uint64_t> checksums() const;
  const Places& places() const { return places_; }

 private:
  void write_stored(Range range, std::span<const std::byte> stored);

  OpenFiles& open_;
  Places places_;
  std::vector<std::filesystem::path> files_;
  std::map<int64_t, std::vector<uint64_t>> checksums_{};  ///< by the beginning of what one call wrote
  std::vector<std::byte> stored_{};
};

}  // namespace lawa
