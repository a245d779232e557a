// Averages of safetensors files, any model's: tensor by tensor, the tensors' elements seen as one flat space.
#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "average/averaging_job.hpp"
#include "core/byte_file.hpp"
#include "core/version.hpp"
#include "interchange/safetensors.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr const char *description_key = "lawa.average", *digest_key = "lawa.digest";  // in a file's metadata
const std::string no_digest(32, '0');                                                 // until it is known

/// float64 would lose digits, and float8 isn't a format of checkpoints.
bool is_averaged(const TensorEntry& tensor) { return tensor.format() && tensor.format() != NumberFormat::float64; }
bool is_copied(const TensorEntry& tensor) { return !tensor.format() && !tensor.dtype.starts_with("F8"); }

/// The averaged tensors as a flat space, by their names: the same one whatever the order in a file.
ParameterTable flat_table(const SafetensorsHeader& header) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const TensorEntry& tensor : header.tensors)
    if (is_averaged(tensor) && tensor.size() > 0) shapes[tensor.name] = tensor.shape;
  ParameterTable table;
  for (const auto& [name, shape] : shapes) table.add({.name = name, .shape = shape});
  return table;
}

/// What tells a file from others without reading all of it: its header and samples spread over the rest. Training changes them all.
std::string fingerprint(const fs::path& path) {
  constexpr int64_t samples = 64, sample_bytes = 4096;
  const ByteFile file(path, ByteFile::Mode::read);
  const int64_t size = file.size(), header = read_safetensors_header(path).data_begin();
  Digest digest;
  add_file_bytes(digest, path, 0, static_cast<uint64_t>(header));
  std::vector<std::byte> bytes;
  for (int64_t i = 0; i < samples; ++i) {
    const Range part = split(size - header, i, samples);
    bytes.resize(static_cast<size_t>(std::min(part.size(), sample_bytes)));
    file.read(header + part.begin, bytes);
    digest.add(bytes);
  }
  return digest.hex();
}

/// Errors: the files hold other tensors.
void check_same_tensors(const SafetensorsHeader& header, const fs::path& path, const SafetensorsHeader& first, const fs::path& other) {
  std::map<std::string, const TensorEntry*> known;
  for (const TensorEntry& tensor : first.tensors) known[tensor.name] = &tensor;
  for (const TensorEntry& tensor : header.tensors) {
    const auto found = known.find(tensor.name);
    LAWA_CHECK(found != known.end(), path.string(), ": holds ", tensor.name, ", which ", other.string(), " doesn't");
    LAWA_CHECK(found->second->shape == tensor.shape && is_averaged(*found->second) == is_averaged(tensor), path.string(), ": ",
               tensor.name, " is ", tensor.dtype, " ", Json(tensor.shape).dump(), ", and in ", other.string(), " ", found->second->dtype,
               " ", Json(found->second->shape).dump());
    known.erase(found);
  }
  LAWA_CHECK(known.empty(), path.string(), ": lacks ", known.begin()->first, ", which ", other.string(), " holds");
}

/// The step that a path names last ("…/step1000/model.safetensors", "checkpoint-500/…"), or nothing.
std::optional<int64_t> step_in(const fs::path& path) {
  static const std::regex pattern(R"((?:^|[^A-Za-z0-9])(?:step|checkpoint|iter)[-_]?(\d{1,18})(?![A-Za-z0-9]|\.\d))");
  const std::string text = path.string();
  std::optional<int64_t> step;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) step = std::stoll((*match)[1]);
  return step;
}

class TensorSources {
 public:
  TensorSources(std::span<const Source> sources, bool allow_nonfinite) : allow_nonfinite_(allow_nonfinite) {
    for (const Source& source : sources) {
      OpenFile file{ByteFile(source.path, ByteFile::Mode::read), read_safetensors_header(source.path), {}};
      if (files_.empty()) table_ = flat_table(file.header);
      std::map<std::string, size_t> at;
      for (size_t i = 0; i < file.header.tensors.size(); ++i) at[file.header.tensors[i].name] = i;
      for (const Parameter& parameter : table_.parameters()) file.tensors.push_back(at.at(parameter.name));
      files_.emplace(source.step, std::move(file));
    }
    LAWA_CHECK(table_.size() > 0, sources[0].path.string(), ": holds no float32, bfloat16 or float16 tensor");
  }
  int64_t size() const { return table_.size(); }
  int64_t bytes() const { return bytes_; }
  const ParameterTable& table() const { return table_; }
  const SafetensorsHeader& header(int64_t step) const { return files_.at(step).header; }

  void read(int64_t step, Range range, std::span<float> out) {
    const OpenFile& file = files_.at(step);
    for (const auto& [parameter, segment] : table_.segments(range)) {
      const TensorEntry& tensor = file.header.tensors[file.tensors[static_cast<size_t>(parameter - table_.parameters().data())]];
      const NumberFormat format = *tensor.format();
      const auto some = out.subspan(static_cast<size_t>(segment.begin - range.begin), static_cast<size_t>(segment.size()));
      const int64_t offset = tensor.bytes.begin + (segment.begin - parameter->offset) * bytes_of(format);
      bytes_ += segment.size() * bytes_of(format);
      if (format == NumberFormat::float32) {
        file.bytes.read(offset, std::as_writable_bytes(some));
      } else {
        stored_.resize(some.size() * static_cast<size_t>(bytes_of(format)));
        file.bytes.read(offset, stored_);
        to_floats(stored_, format, some);
      }
    }
    if (!allow_nonfinite_) detail::check_finite(out, file.bytes.path().string(), table_, range.begin);
  }

  /// The bytes of a tensor that isn't averaged. Errors: they differ from one file to another.
  std::vector<std::byte> same_bytes(const std::string& name) const {
    std::vector<std::byte> same, other;
    const fs::path* first = nullptr;
    for (const auto& [step, file] : files_) {
      const auto tensor = std::ranges::find(file.header.tensors, name, &TensorEntry::name);
      auto& bytes = first == nullptr ? same : other;
      bytes.resize(static_cast<size_t>(tensor->bytes.size()));
      file.bytes.read(tensor->bytes.begin, bytes);
      if (first == nullptr) first = &file.bytes.path();
      else
        LAWA_CHECK(other == same, file.bytes.path().string(), ": ", name, " (", tensor->dtype, ") differs from that in ", first->string(),
                   ", and only floating-point tensors are averaged");
    }
    return same;
  }

 private:
  struct OpenFile {
    ByteFile bytes;
    SafetensorsHeader header;
    std::vector<size_t> tensors;  ///< where the table's tensors stand in the header
  };
  bool allow_nonfinite_;
  ParameterTable table_;
  std::map<int64_t, OpenFile> files_;
  std::vector<std::byte> stored_;
  int64_t bytes_ = 0;
};

class TensorOutputs {
 public:
  TensorOutputs(const Communicator& comm, const std::vector<PlannedFile>& files, const std::vector<Source>& sources,
                const TensorSources& reader, NumberFormat format)
      : files_(comm, files), sources_(sources), reader_(reader), format_(format), offsets_(files.size()), sums_(files.size()), verified_(files.size()) {}

  void lay_out() {
    files_.comm().together([&] {
      for (size_t i = 0; i < files_.size(); ++i) {
        const auto [header, text] = laid_out(i, no_digest);
        for (const Parameter& parameter : reader_.table().parameters())
          offsets_[i].push_back(std::ranges::find(header.tensors, parameter.name, &TensorEntry::name)->bytes.begin);
        if (i % static_cast<size_t>(files_.comm().size()) == static_cast<size_t>(files_.comm().rank())) create(i, header, text);
      }
    });
  }

  void write(size_t i, Range range, std::span<const float> values) {
    stored_.resize(values.size() * static_cast<size_t>(bytes_of(format_)));
    from_floats(values, format_, stored_);
    const auto some = block_checksums(stored_, format_);
    sums_[i].insert(sums_[i].end(), some.begin(), some.end());
    const ByteFile& out = file(i);
    for_each_part(i, range, [&](int64_t offset, size_t begin, size_t size) { out.write(offset, std::span(stored_).subspan(begin, size)); });
  }

  void begin_writing_back(size_t i, Range range) {
    const ByteFile& out = file(i);
    for_each_part(i, range, [&](int64_t offset, size_t, size_t size) { out.begin_writing_back(offset, static_cast<int64_t>(size)); });
  }
  void bring_back(size_t i, Range range) {
    const ByteFile& out = file(i);
    for_each_part(i, range, [&](int64_t offset, size_t, size_t size) { out.bring_back(offset, static_cast<int64_t>(size)); });
  }

  /// Its checksums must come out again. Parts of a file are verified in the order in which they were written.
  void verify(size_t i, Range range) {
    const ByteFile& in = file(i);
    stored_.resize(static_cast<size_t>(range.size() * bytes_of(format_)));
    for_each_part(i, range, [&](int64_t offset, size_t begin, size_t size) { in.read(offset, std::span(stored_).subspan(begin, size)); });
    for (const uint64_t sum : block_checksums(stored_, format_))
      LAWA_CHECK(sum == sums_[i][verified_[i]++], in.path().string(), ": what was read back isn't what was written (elements from ",
                 range.begin, ")");
  }
  void make_durable() const { files_.make_durable(); }

  /// Puts the digests into the files, and names them.
  std::vector<std::string> commit(const AveragingOutput& options) {
    std::vector<std::string> digests;
    for (const auto& sums : sums_) digests.push_back(detail::digest_of(files_.comm(), sums));
    files_.comm().together([&] {
      files_.for_mine([&](size_t i) {
        const std::string header = laid_out(i, digests[i]).second;
        file(i).write(0, std::as_bytes(std::span(header)));
        if (options.verify) check_the_rest(i, digests[i]);
        commit_file(files_[i].path, options.fsync);
      });
      files_.committed();
    });
    return digests;
  }

 private:
  /// The header of an average: its newest member's, with other numbers, and what it is.
  std::pair<SafetensorsHeader, std::string> laid_out(size_t i, const std::string& digest) const {
    const SafetensorsHeader& newest = reader_.header(files_[i].average.step());
    std::vector<TensorEntry> tensors = newest.tensors;
    for (TensorEntry& tensor : tensors)
      if (is_averaged(tensor)) tensor.dtype = format_ == NumberFormat::bfloat16 ? "BF16" : "F32";
    auto metadata = newest.metadata;
    metadata.emplace("format", "pt");  // transformers asks for it
    metadata[description_key] = describe_average(files_[i], sources_).dump();
    metadata[digest_key] = digest;  // as long as the one before: nothing moves
    metadata["lawa.program"] = "lawa " + version().number + " " + version().git;
    return lay_out_safetensors(std::move(tensors), metadata);
  }

  void create(size_t i, const SafetensorsHeader& header, const std::string& text) const {
    make_folder(files_[i].path.parent_path());
    const ByteFile out(part_of(files_[i].path), ByteFile::Mode::create);
    out.write(0, std::as_bytes(std::span(text)));
    for (const TensorEntry& tensor : header.tensors)
      if (!is_averaged(tensor)) out.write(tensor.bytes.begin, reader_.same_bytes(tensor.name));
  }

  /// What verify() doesn't see: the header and the tensors that were copied.
  void check_the_rest(size_t i, const std::string& digest) {
    const SafetensorsHeader found = read_safetensors_header(file(i).path());
    LAWA_CHECK(found == laid_out(i, digest).first, file(i).path().string(), ": its header isn't what was written");
    std::vector<std::byte> bytes;
    for (const TensorEntry& tensor : found.tensors) {
      if (is_averaged(tensor)) continue;
      bytes.resize(static_cast<size_t>(tensor.bytes.size()));
      file(i).read(tensor.bytes.begin, bytes);
      LAWA_CHECK(bytes == reader_.same_bytes(tensor.name), file(i).path().string(), ": ", tensor.name, " isn't what was written");
    }
  }

  /// f(offset in the file, begin in the piece's stored bytes, size) for the tensors' parts in a range.
  template <class F>
  void for_each_part(size_t i, Range range, F&& f) const {
    const int64_t width = bytes_of(format_);
    for (const auto& [parameter, segment] : reader_.table().segments(range))
      f(offsets_[i][static_cast<size_t>(parameter - reader_.table().parameters().data())] + (segment.begin - parameter->offset) * width,
        static_cast<size_t>((segment.begin - range.begin) * width), static_cast<size_t>(segment.size() * width));
  }

  const ByteFile& file(size_t i) { return open_[part_of(files_[i].path)]; }

  detail::PartFiles files_;
  OpenFiles open_;
  const std::vector<Source>& sources_;
  const TensorSources& reader_;
  NumberFormat format_;
  std::vector<std::vector<int64_t>> offsets_;  ///< of each file: where the table's tensors begin in it
  std::vector<std::vector<uint64_t>> sums_;    ///< of each file: checksums of the blocks that this rank wrote
  std::vector<size_t> verified_;               ///< of each file: how many of these have come out again
  std::vector<std::byte> stored_;
};

}  // namespace

namespace detail {

bool is_safetensors(const fs::path& file) { return file.extension() == ".safetensors"; }

std::vector<Source> open_tensors(const std::vector<fs::path>& files) {
  std::vector<Source> sources;
  std::optional<SafetensorsHeader> first;
  std::set<std::optional<int64_t>> steps;
  for (const fs::path& file : files) steps.insert(step_in(file));
  const bool named = steps.size() == files.size() && !steps.contains(std::nullopt);
  for (const fs::path& file : files) {
    SafetensorsHeader header = read_safetensors_header(file);
    for (const TensorEntry& tensor : header.tensors)
      LAWA_CHECK(is_averaged(tensor) || is_copied(tensor), file.string(), ": ", tensor.name, " is ", tensor.dtype,
                 "; only F32, BF16 and F16 are averaged");
    if (first) check_same_tensors(header, file, *first, files[0]);
    else first = std::move(header);
    sources.push_back({.step = named ? *step_in(file) : std::ssize(sources) + 1, .path = file, .digest = fingerprint(file), .trajectory_hash = ""});
  }
  return sources;
}

std::pair<Json, std::string> described_tensors(const fs::path& file) {
  const auto metadata = read_safetensors_header(file).metadata;
  const auto text = metadata.find(description_key), digest = metadata.find(digest_key);
  if (text == metadata.end() || digest == metadata.end()) return {};
  const Json description = Json::parse(text->second, nullptr, false);
  return {description.is_object() ? in_todays_words(description) : Json(), digest->second};
}

AveragingTotals write_tensor_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                                      const std::vector<Source>& sources, Log& log) {
  return write_files<TensorSources, TensorOutputs>(comm, options, files, sources, log);
}

std::string tensor_digest(const Communicator& comm, const AveragingOutput& options, const Average& average, NumberFormat format,
                          const std::vector<Source>& sources) {
  return digest_of_average<TensorSources>(comm, options, average, format, sources);
}

}  // namespace detail
}  // namespace lawa
