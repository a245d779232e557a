// Weights files as averages are made of them. Inside average only.
#pragma once
#include <map>

#include "average/averaging_job.hpp"
#include "core/version.hpp"

namespace lawa::detail {

/// Checkpoints as they are read in pieces: opened once, every block verified, the bytes counted.
class FlatSources {
 public:
  FlatSources(std::span<const Source> sources, bool allow_nonfinite) : allow_nonfinite_(allow_nonfinite) {
    for (const Source& source : sources) readers_.emplace(source.step, FlatFileReader(source.path, "weights"));
  }
  const FlatHeader& header(int64_t step) const { return readers_.at(step).header(); }
  int64_t size() const { return readers_.begin()->second.header().table.size(); }
  int64_t bytes() const { return bytes_; }

  void read(int64_t step, Range range, std::span<float> out) {
    const FlatFileReader& reader = readers_.at(step);
    reader.read("weights", range, out);
    bytes_ += range.size() * bytes_of(reader.format("weights"));
    if (!allow_nonfinite_) check_finite(out, reader.path(), reader.header().table, range.begin);
  }

  /// What an average's file says of itself: its newest member's config and hashes, at its step, and how it was made.
  FlatHeader header_of(const PlannedFile& file, const std::vector<Source>& sources) const {
    FlatHeader made = header(file.average.step());
    made.git = version().git;
    made.provenance = {{"program", "lawa " + version().number}, {"average", describe_average(file, sources)}};
    return made;
  }

 private:
  bool allow_nonfinite_;
  std::map<int64_t, FlatFileReader> readers_;
  int64_t bytes_ = 0;
};

}  // namespace lawa::detail
