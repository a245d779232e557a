// Averages' files that are being written. Inside average only.
#pragma once
#include <deque>
#include <span>

#include "average/averager.hpp"
#include "core/files.hpp"
#include "params/shard_layout.hpp"

namespace lawa::detail {

/// Files of one format that are made together: each is laid out and sealed by one rank, and filled in by all.
class GroupOfFiles {
 public:
  /// Lays them out. Collective. What isn't committed in the end is removed.
  GroupOfFiles(const Communicator& comm, std::span<const PlannedFile> files, const std::vector<Source>& sources, const AveragingOutput& options);

  PlacedWriter& operator[](size_t i) { return writers_[i]; }
  /// Nothing more is written by this rank. Errors: a write that failed late.
  void close() { open_.close_all(); }
  /// Every node makes what its ranks wrote durable. Collective.
  void make_durable() const;
  /// Completes the files and gives them their names. Returns their digests, on every rank. Collective.
  std::vector<std::string> commit(bool durably);
  /// Another process has their folders now: nothing in there is removed.
  void leave() { std::ranges::for_each(parts_, &PartGuard::keep); }

 private:
  /// The rank that lays a file out and seals it.
  int owner(size_t i) const { return static_cast<int>(i % static_cast<size_t>(comm_.size())); }
  bool is_mine(size_t i) const { return owner(i) == comm_.rank(); }

  const Communicator& comm_;
  std::span<const PlannedFile> files_;
  std::vector<PartGuard> parts_{};             ///< of the files that are this rank's
  std::map<size_t, PlacedFile> laid_out_{};    ///< the same
  OpenFiles open_{ByteFile::Mode::update};
  std::vector<PlacedWriter> writers_{};        ///< of all files
};

/// Reads back what is written, some way behind the writing, when it has reached the disk without anybody's waiting: first a part is
/// brought back from the disk, later read. With fsync off nothing has to be on the disk, and parts are read from memory.
class ReadBack {
 public:
  ReadBack(GroupOfFiles& files, const AveragingOutput& options) : files_(files), verify_(options.verify), from_disk_(options.fsync) {}

  void wrote(size_t i, Range range);
  void finish() { catch_up(0); }

 private:
  static constexpr int64_t lag = int64_t{1} << 24;  ///< elements: 64 MB
  struct Part {
    size_t file;
    Range range;
  };
  struct Queue {
    std::deque<Part> parts{};
    int64_t elements = 0;
    void push(Part part) {
      parts.push_back(part);
      elements += part.range.size();
    }
    Part pop() {
      const Part part = parts.front();
      parts.pop_front();
      elements -= part.range.size();
      return part;
    }
  };
  /// Until at most so many elements are in each of the queues.
  void catch_up(int64_t behind);

  GroupOfFiles& files_;
  bool verify_, from_disk_;
  Queue written_, on_the_way_;
};

}  // namespace lawa::detail
