#include "average/averager.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "average/streamed.hpp"
#include "checkpoint/direct_file.hpp"
#include "core/byte_file.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/version.hpp"
#include "params/shard_layout.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr int64_t most_elements = int64_t{1} << 17;  // of a piece: what a few checkpoints hold of it stays in the caches

bool all_finite(std::span<const float> values) {
  float zero = 0;  // x - x is 0 for finite x, else NaN
#pragma omp simd reduction(+ : zero)
  for (size_t i = 0; i < values.size(); ++i) zero += values[i] - values[i];
  return zero == 0;
}

/// Checkpoints as they are read in pieces: opened once, every block verified, the bytes counted.
class SourceReader {
 public:
  SourceReader(std::span<const Source> sources, bool allow_nonfinite) : allow_nonfinite_(allow_nonfinite) {
    for (const Source& source : sources) readers_.emplace(source.step, FlatFileReader(source.path, "weights"));
  }
  const FlatHeader& header(int64_t step) const { return readers_.at(step).header(); }
  int64_t bytes() const { return bytes_; }

  void read(int64_t step, Range range, std::span<float> out) {
    const FlatFileReader& reader = readers_.at(step);
    reader.read("weights", range, out);
    bytes_ += range.size() * bytes_of(reader.format("weights"));
    if (allow_nonfinite_ || all_finite(out)) return;
    const auto bad = std::ranges::find_if(out, [](float x) { return !std::isfinite(x); }) - out.begin();
    fail(__FILE__, __LINE__, reader.path(), ": ", header(step).table.at(range.begin + bad).name, " holds ", out[static_cast<size_t>(bad)],
         " (element ", range.begin + bad, " of the weights); averaging.allow_nonfinite=true averages it all the same");
  }

 private:
  bool allow_nonfinite_;
  std::map<int64_t, FlatFileReader> readers_;
  int64_t bytes_ = 0;
};

std::vector<Average> averages_of(const std::vector<PlannedFile>& files) {
  std::vector<Average> plan;
  for (const PlannedFile& file : files) plan.push_back(file.average);
  return plan;
}

/// The sources that some averages are made of.
std::vector<Source> used_sources(const std::vector<Average>& plan, const std::vector<Source>& sources) {
  std::vector<Source> used;
  for (const Source& source : sources)
    if (std::ranges::any_of(plan, [&](const Average& a) { return std::ranges::count(a.members, source.step, &Member::step) > 0; }))
      used.push_back(source);
  return used;
}

/// f(piece) for consecutive pieces of what this rank owns.
template <class F>
void for_each_piece(const ShardLayout& layout, int64_t elements, F&& f) {
  for (const auto& owned : layout.mine())
    for (int64_t begin = owned.range.begin; begin < owned.range.end; begin += elements)
      f(Range{begin, std::min(begin + elements, owned.range.end)});
}

/// Reads what this rank owns of a weights file; every block is verified on the way.
void verify_mine(const fs::path& file, const ShardLayout& layout) {
  const FlatFileReader reader(file, "weights");
  std::vector<float> values(static_cast<size_t>(std::min(most_elements, layout.local_size())));
  for_each_piece(layout, most_elements, [&](Range range) {
    reader.read("weights", range, std::span(values).first(static_cast<size_t>(range.size())));
  });
}

NumberFormat format_of(const std::string& precision) { return precision == "bf16" ? NumberFormat::bfloat16 : NumberFormat::float32; }
Rounding rounding_to(NumberFormat format) { return format == NumberFormat::bfloat16 ? Rounding::bfloat16 : Rounding::float32; }

int64_t piece_of(const AveragingOrder& order, const AveragingOutput& options) {
  return piece_elements(order, options.memory_bytes, block_size, most_elements);
}

/// The files that are being written: laid out, filled in and named by all ranks together, each file by one of them. What isn't
/// committed in the end is removed.
class FilesUnderWay {
 public:
  FilesUnderWay(const Communicator& comm, const std::vector<PlannedFile>& files) : comm_(comm), files_(files), places_(files.size()) {}
  ~FilesUnderWay() {
    std::error_code ignored;
    for_mine([&](size_t i) { if (!committed_) fs::remove(part_of(files_[i].path), ignored); });
  }

  void lay_out(const SourceReader& reader, NumberFormat format) {
    Json mine = Json::array();
    comm_.together([&] {
      for_mine([&](size_t i) {
        FlatHeader header = reader.header(files_[i].average.step());  // its newest member's config and hashes, at its step
        header.git = version().git;
        header.provenance = {{"program", "lawa " + version().number}, {"average", files_[i].description}};
        fs::create_directories(files_[i].path.parent_path());
        const ArrayPlace place = lay_out_weights(part_of(files_[i].path), header, format);
        mine.push_back({i, place.values, place.checksums});
      });
    });
    for (const std::string& text : comm_.gather(mine.dump()))
      for (const Json& entry : Json::parse(text)) places_[entry[0].get<size_t>()] = {format, entry[1], entry[2]};
  }

  void write(size_t i, Range range, std::span<const float> values) const {
    write_weights_part(part_of(files_[i].path), places_[i], range, values);
  }

  /// Every rank makes what it wrote durable, then reads it back.
  void settle(const ShardLayout& layout, const AveragingOutput& options) const {
    if (options.fsync)
      comm_.together([&] {
        for (const PlannedFile& file : files_) make_durable(part_of(file.path));
      });
    if (!options.verify) return;
    comm_.together([&] {
      for (const PlannedFile& file : files_) {
        if (options.fsync) ByteFile(part_of(file.path), ByteFile::Mode::read).forget_cached();
        verify_mine(part_of(file.path), layout);
      }
    });
  }

  /// Names the files, then writes their records. Returns their digests.
  std::vector<std::string> commit(const SourceReader& reader, bool fsync) {
    Json mine = Json::array();
    comm_.together([&] {
      for_mine([&](size_t i) {
        const fs::path& path = files_[i].path;
        mine.push_back({i, FlatFileReader(part_of(path), "weights").digest("weights")});
        const FlatHeader& header = reader.header(files_[i].average.step());
        const FileRecord file = commit_flat_file(path, fsync);
        write_record(path.parent_path(), {header.step, header.tokens, header.trajectory_hash, file, {}});
      });
      committed_ = true;
    });
    std::vector<std::string> digests(files_.size());
    for (const std::string& text : comm_.gather(mine.dump()))
      for (const Json& entry : Json::parse(text)) digests[entry[0].get<size_t>()] = entry[1];
    return digests;
  }

 private:
  template <class F>
  void for_mine(F&& f) const {
    for (auto i = static_cast<size_t>(comm_.rank()); i < files_.size(); i += static_cast<size_t>(comm_.size())) f(i);
  }

  const Communicator& comm_;
  const std::vector<PlannedFile>& files_;
  std::vector<ArrayPlace> places_;
  bool committed_ = false;
};

}  // namespace

AveragingTotals write_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                               const std::vector<Source>& sources, Log& log) {
  AveragingTotals totals;
  if (files.empty()) return totals;
  const auto plan = averages_of(files);
  const AveragingOrder order = averaging_order(plan);
  const int64_t elements = piece_of(order, options);
  log.line(std::to_string(files.size()) + " averages of " + std::to_string(order.stops.size()) + " checkpoints; at most " +
           bytes_text(static_cast<double>(order.bytes(elements))) + " of weights held a rank");
  std::optional<SourceReader> reader;
  comm.together([&] { reader.emplace(used_sources(plan, sources), options.allow_nonfinite); });
  const ShardLayout layout(reader->header(order.stops[0].step).table.size(), comm.rank(), comm.size());
  FilesUnderWay under_way(comm, files);
  const NumberFormat format = format_of(options.precision);
  under_way.lay_out(*reader, format);
  int64_t written = 0;
  comm.together([&] {
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { reader->read(step, range, out); },
                            [&](size_t i, Range range, std::span<const float> values) {
                              under_way.write(i, range, values);
                              written += std::ssize(values) * bytes_of(format);
                            }};
    for_each_piece(layout, elements, [&](Range range) {
      average_piece(plan, order, range, rounding_to(format), io);
      log.progress(range.end, layout.mine_size(), "elements of this rank");
    });
  });
  under_way.settle(layout, options);
  totals.digests = under_way.commit(*reader, options.fsync);
  totals.bytes_read = comm.sum(reader->bytes());
  totals.bytes_written = comm.sum(written);
  return totals;
}

void verify_weights(const Communicator& comm, const fs::path& file) {
  comm.together([&] { verify_mine(file, ShardLayout(FlatFileReader(file, "weights").header().table.size(), comm.rank(), comm.size())); });
}

std::string rebuilt_digest(const Communicator& comm, const AveragingOutput& options, const Json& description,
                           const std::vector<Source>& sources, const std::string& place) {
  const std::vector<Average> plan{described_average(description, place).second};
  for (const Json& member : description.at("members")) {
    const auto source = std::ranges::find(sources, member.at("step").get<int64_t>(), &Source::step);
    LAWA_CHECK(source != sources.end(), place, ": is made from step ", member.at("step").dump(), ", which isn't among the sources");
    LAWA_CHECK(source->digest == member.value("digest", source->digest), source->path.string(), ": isn't the file that ", place,
               " was made from (their digests differ)");  // an average that was made in the run names none
  }
  const AveragingOrder order = averaging_order(plan);
  const NumberFormat format = format_of(description.value("precision", "fp32"));
  std::vector<uint64_t> sums;
  comm.together([&] {
    SourceReader reader(used_sources(plan, sources), options.allow_nonfinite);
    const ShardLayout layout(reader.header(order.stops[0].step).table.size(), comm.rank(), comm.size());
    std::vector<std::byte> stored;
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { reader.read(step, range, out); },
                            [&](size_t, Range, std::span<const float> values) {
                              stored.resize(values.size() * static_cast<size_t>(bytes_of(format)));
                              from_floats(values, format, stored);
                              const auto some = block_checksums(stored, format);
                              sums.insert(sums.end(), some.begin(), some.end());
                            }};
    for_each_piece(layout, piece_of(order, options), [&](Range range) { average_piece(plan, order, range, rounding_to(format), io); });
  });
  Digest digest;
  for (const std::string& part : comm.gather({reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(uint64_t)}))
    digest.add(std::as_bytes(std::span(part)));
  return digest.hex();
}

}  // namespace lawa
