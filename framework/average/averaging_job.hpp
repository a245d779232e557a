// The walk that makes averages' files, over two kinds of checkpoints: flat files (flat_averages.cpp) and safetensors
// (tensor_averages.cpp). Inside average only.
//
//   Sources  checkpoints, opened: size() elements, read(step, range, out), bytes() read so far
//   Outputs  the files that are being written: lay_out(); write(i, range, values), begin_writing_back(i, range), bring_back(i, range) and
//            verify(i, range) for each part of them; make_durable(); commit()
#pragma once
#include <deque>
#include <optional>

#include "average/averager.hpp"
#include "average/streamed.hpp"
#include "core/byte_file.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/stop_request.hpp"
#include "params/shard_layout.hpp"

namespace lawa::detail {

inline constexpr int64_t most_elements = int64_t{1} << 16;  ///< of a piece: what a few checkpoints hold of it stays in the caches

inline NumberFormat format_of(const std::string& precision) {
  return precision == "bf16" ? NumberFormat::bfloat16 : NumberFormat::float32;
}
inline Rounding rounding_to(NumberFormat format) {
  return format == NumberFormat::bfloat16 ? Rounding::bfloat16 : Rounding::float32;
}

/// Errors: NaN or infinity among elements [begin, …) of a file, unless they are allowed.
void check_finite(std::span<const float> values, const std::string& path, const ParameterTable& table, int64_t begin);

/// The sources that some averages are made of.
std::vector<Source> used_sources(const std::vector<Average>& plan, const std::vector<Source>& sources);

std::vector<Average> averages_of(const std::vector<PlannedFile>& files);

/// "412 averages of 60 checkpoints; at most 40 MB of weights held a rank", where pieces have `elements` elements.
std::string work_text(const AveragingOrder& order, size_t averages, int64_t elements);

/// f(piece) for consecutive pieces of a range.
template <class F>
void for_each_piece(Range range, int64_t elements, F&& f) {
  for (int64_t begin = range.begin; begin < range.end; begin += elements) f(Range{begin, std::min(begin + elements, range.end)});
}
/// f(piece) for consecutive pieces of what this rank owns. Errors: Stopped, on a rank that was asked to.
template <class F>
void for_each_piece(const ShardLayout& layout, int64_t elements, F&& f) {
  for (const auto& owned : layout.mine())
    for_each_piece(owned.range, elements, [&](Range piece) {
      stop_if_requested();
      f(piece);
    });
}

/// Adds the checksums that values, from the beginning of a block on, have in a file.
void add_checksums(std::span<const float> values, NumberFormat format, std::vector<uint64_t>& sums);

/// The names of files that are being written: each is laid out and committed by one rank, filled in by all. What isn't committed in
/// the end is removed.
class PartFiles {
 public:
  PartFiles(const Communicator& comm, const std::vector<PlannedFile>& files) : comm_(comm), files_(files) {}
  ~PartFiles();

  const Communicator& comm() const { return comm_; }
  const PlannedFile& operator[](size_t i) const { return files_[i]; }
  size_t size() const { return files_.size(); }
  /// f(i) for the files that this rank lays out and commits.
  template <class F>
  void for_mine(F&& f) const {
    for (auto i = static_cast<size_t>(comm_.rank()); i < files_.size(); i += static_cast<size_t>(comm_.size())) f(i);
  }
  /// Every rank makes what it wrote durable. Collective.
  void make_durable() const;
  void committed() { committed_ = true; }

 private:
  const Communicator& comm_;
  const std::vector<PlannedFile>& files_;
  bool committed_ = false;
};

/// The digest of blocks' checksums, of which every rank has some, in the order of the ranks. Collective.
std::string digest_of(const Communicator& comm, const std::vector<uint64_t>& mine);

/// Reads back what is written, some way behind the writing, when it has reached the disk without anybody's waiting: first a part is
/// brought back from the disk, later read. With fsync off nothing has to be on the disk, and parts are read from memory.
template <class Outputs>
class ReadBack {
 public:
  ReadBack(Outputs& outputs, const AveragingOutput& options) : outputs_(outputs), verify_(options.verify), from_disk_(options.fsync) {}

  void wrote(size_t i, Range range) {
    if (from_disk_) outputs_.begin_writing_back(i, range);
    if (!verify_) return;
    if (from_disk_) push(written_, {i, range});
    else outputs_.verify(i, range);
    while (written_.elements > lag) bring_back();
    while (on_the_way_.elements > lag) verify();
  }
  void finish() {
    while (!written_.parts.empty()) bring_back();
    while (!on_the_way_.parts.empty()) verify();
  }

 private:
  static constexpr int64_t lag = int64_t{1} << 24;  ///< elements: 64 MB
  struct Part {
    size_t file;
    Range range;
  };
  struct Queue {
    std::deque<Part> parts{};
    int64_t elements = 0;
  };
  static void push(Queue& queue, Part part) {
    queue.parts.push_back(part);
    queue.elements += part.range.size();
  }
  static Part pop(Queue& queue) {
    const Part part = queue.parts.front();
    queue.parts.pop_front();
    queue.elements -= part.range.size();
    return part;
  }
  void bring_back() {
    const Part part = pop(written_);
    outputs_.bring_back(part.file, part.range);
    push(on_the_way_, part);
  }
  void verify() {
    const Part part = pop(on_the_way_);
    outputs_.verify(part.file, part.range);
  }

  Outputs& outputs_;
  bool verify_, from_disk_;
  Queue written_, on_the_way_;
};

template <class Sources, class Outputs>
AveragingTotals write_files(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                            const std::vector<Source>& sources, Log& log) {
  AveragingTotals totals;
  if (files.empty()) return totals;
  const std::vector<Average> plan = averages_of(files);
  const AveragingOrder order = averaging_order(plan);
  const int64_t elements = piece_elements(order, options.memory_bytes, block_size, most_elements);
  log.line(work_text(order, files.size(), elements));
  std::optional<Sources> reader;
  raise_open_file_limit();
  comm.together([&] { reader.emplace(used_sources(plan, sources), options.allow_nonfinite); });
  const ShardLayout layout(reader->size(), comm.rank(), comm.size());
  const NumberFormat format = format_of(options.precision);
  Outputs under_way(comm, files, sources, *reader, format);
  under_way.lay_out();
  ReadBack read_back(under_way, options);
  int64_t written = 0;
  comm.together([&] {
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { reader->read(step, range, out); },
                            [&](size_t i, Range range, std::span<const float> values) {
                              under_way.write(i, range, values);
                              read_back.wrote(i, range);
                              written += std::ssize(values) * bytes_of(format);
                            }};
    for_each_piece(layout, elements, [&](Range range) {
      average_piece(plan, order, range, rounding_to(format), io);
      log.progress(range.end, layout.mine_size(), "elements of this rank");
    });
    read_back.finish();
  });
  if (options.fsync) under_way.make_durable();
  totals.digests = under_way.commit(options);
  totals.bytes_read = comm.sum(reader->bytes());
  totals.bytes_written = comm.sum(written);
  return totals;
}

/// The digest of one average of some sources, written nowhere.
template <class Sources>
std::string digest_of_average(const Communicator& comm, const AveragingOutput& options, const Average& average, NumberFormat format,
                              const std::vector<Source>& sources) {
  const std::vector<Average> plan{average};
  const AveragingOrder order = averaging_order(plan);
  std::vector<uint64_t> sums;
  comm.together([&] {
    Sources reader(used_sources(plan, sources), options.allow_nonfinite);
    const ShardLayout layout(reader.size(), comm.rank(), comm.size());
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { reader.read(step, range, out); },
                            [&](size_t, Range, std::span<const float> values) { add_checksums(values, format, sums); }};
    for_each_piece(layout, piece_elements(order, options.memory_bytes, block_size, most_elements),
                   [&](Range range) { average_piece(plan, order, range, rounding_to(format), io); });
  });
  return digest_of(comm, sums);
}

// ---- each kind's own ---------------------------------------------------------------------------------------------------------

/// True for a file of the safetensors format, by its name.
bool is_safetensors(const std::filesystem::path& file);

AveragingTotals write_flat_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                                    const std::vector<Source>& sources, Log& log);
void verify_flat(const Communicator& comm, const std::filesystem::path& file);
std::string flat_digest(const Communicator& comm, const AveragingOutput& options, const Average& average, NumberFormat format,
                        const std::vector<Source>& sources);

/// Sources from safetensors files; on one rank. Their steps stand in their names, or they count as 1, 2, … in their order.
std::vector<Source> open_tensors(const std::vector<std::filesystem::path>& files);
/// What a safetensors average says of itself, and the digest that it names; null and "" for other files.
std::pair<Json, std::string> described_tensors(const std::filesystem::path& file);
AveragingTotals write_tensor_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                                      const std::vector<Source>& sources, Log& log);
std::string tensor_digest(const Communicator& comm, const AveragingOutput& options, const Average& average, NumberFormat format,
                          const std::vector<Source>& sources);

}  // namespace lawa::detail
