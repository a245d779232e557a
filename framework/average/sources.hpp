// The files that averages are made of, whatever their format.
#pragma once
#include <memory>
#include <vector>

#include "average/averaging_plan.hpp"
#include "checkpoint/placed_file.hpp"
#include "comm/communicator.hpp"

namespace lawa {

/// One file that may be averaged.
struct Source {
  int64_t step = 0;
  std::filesystem::path path;
  std::string digest;           ///< that tells it from others: PlacedFile::identity
  std::string trajectory_hash;  ///< "" where the file names none
  Places places{};
  std::vector<CopiedBytes> copied{};
  std::vector<std::string> partial{};  ///< its tensors that not all files hold
  std::shared_ptr<const ParameterTable> table{};  ///< the same one for all
};

/// Opens and verifies some weights files; sorted by step. Rank 0 opens them for all. Where files don't say their step, it is the last step,
/// checkpoint or iter number in the path where all of them have different ones, else their place in the list. Collective. Errors: the
/// format's; files of several formats, of different runs, or with other tensors (unless they may: then those that all hold are averaged).
std::vector<Source> open_sources(const Communicator& comm, const std::vector<std::filesystem::path>& files, bool may_differ = false);

/// The sources that some averages are made of.
std::vector<Source> used_sources(const std::vector<Average>& plan, const std::vector<Source>& sources);

/// Sources as they are read in pieces, the bytes counted. Not collective.
class SourceReaders {
 public:
  /// They must outlive it.
  SourceReaders(const std::vector<Source>& sources, bool allow_nonfinite);
  /// Elements of a source. Errors: PlacedReader's; NaN or infinity, unless they are allowed, or the tensor is the same in all sources.
  void read(int64_t step, Range range, std::span<float> out);
  int64_t bytes() const;

 private:
  void check_finite(std::span<const float> values, const Source& source, int64_t begin);
  bool is_constant(const std::string& tensor);

  OpenFiles files_{ByteFile::Mode::read};
  std::map<int64_t, PlacedReader> readers_{};
  std::map<int64_t, const Source*> sources_{};
  std::map<std::string, bool> constant_{};  ///< of tensors that hold infinities: they are the same in all sources
  bool allow_nonfinite_;
};

}  // namespace lawa
