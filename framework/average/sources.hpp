// The files that averages are made of, whatever their format.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "average/averaging_plan.hpp"
#include "checkpoint/placed_file.hpp"
#include "comm/communicator.hpp"
#include "core/config.hpp"

namespace lawa {

/// Which files may be averaged together, and what their steps are where they don't say them.
struct SourceOptions {
  bool any_run = false;
  std::string order = "names";
  bool as_models = false;  ///< weights in the order of this program's models (open_model), whatever their files; not a key
};
template <class Visitor>
void visit(SourceOptions& c, Visitor&& v) {
  v("any_run", c.any_run, "average checkpoints of several runs; those of one step count together, in the order in which they are named");
  v("order", c.order, "of files that don't say their step: names (the steps in their names) or list (the order in which they are named)",
    one_of({"names", "list"}));
}

/// One file that may be averaged.
struct Source {
  int64_t step = 0;             ///< what averages are planned over, and no other source has: own_step, in units of 1 / sharing
  int64_t sharing = 1;          ///< so many sources may have one own_step; more than 1 of several runs only
  std::filesystem::path path;
  std::string digest;           ///< that tells it from others: PlacedFile::identity
  std::string trajectory_hash;  ///< "" where the file names none
  Places places{};
  std::vector<CopiedBytes> copied{};
  std::vector<std::string> partial{};  ///< its tensors that not all files hold
  std::shared_ptr<const ParameterTable> table{};  ///< the same one for all

  /// The checkpoint's step.
  int64_t own_step() const { return step / sharing; }
};

/// Opens and verifies some weights files; sorted by step. Rank 0 opens them for all, and tells `say` what is to be known of them. Where files
/// don't say their step, order_of() does; of a run and its branches, keep_one_trajectory()'s are left. Collective. Errors: the format's;
/// files of several formats, of different runs, or with other tensors (unless they
/// may differ: then those that all hold are averaged); two of one step.
std::vector<Source> open_sources(const Communicator& comm, const std::vector<std::filesystem::path>& files, const SourceOptions& options = {},
                                 bool may_differ = false, const std::function<void(const std::string&)>& say = {});

/// averaging_plan() over the sources' steps.
std::vector<Average> planned_averages(const AveragingConfig& config, const std::vector<Source>& sources);

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
