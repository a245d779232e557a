// Averages of the weights that a run passes through, each rank over its own shard: no checkpoints are needed, nothing is
// communicated, and the state survives a resume on any number of ranks.
#pragma once
#include <functional>
#include <map>

#include "average/online_config.hpp"
#include "average/progress.hpp"
#include "checkpoint/shard_file.hpp"

namespace lawa {

/// All averages of a run, each once, however many entries of [[averages]] evaluate it. A snapshot is the weights after a step with
/// step % stride == 0, first <= step (<= last, where there is one), as in averaging_plan:
///   lawa  the mean of the newest k snapshots, once there are k; rounded as the offline average is, bit for bit
///   ema   e = kept e + (1 - kept) x at every snapshot x, from the first one's weights on; e in float64, on the device
///   swa   the mean of all snapshots; their sum in float64, on the device
/// Snapshots lie in host memory, and averages that hold the same one share it.
class OnlineAverages {
 public:
  OnlineAverages(const std::vector<OnlineAverageConfig>& configs, const ShardLayout& layout);

  /// Takes what it needs of the weights after `step`; weights: a local buffer, which isn't changed.
  void observe(const Exec& exec, int64_t step, const Vector<float>& weights);

  size_t size() const { return averages_.size(); }
  /// Which one an entry asks for.
  size_t find(const OnlineAverageConfig& config) const;
  const std::string& name(size_t i) const { return averages_[i].name; }
  /// AverageProgress::step and snapshots.
  int64_t step(size_t i) const { return averages_[i].progress.step(); }
  int64_t snapshots(size_t i) const { return averages_[i].progress.snapshots(); }
  /// The average, rounded to float32 once, into a local buffer. Waits until it is there.
  void average(const Exec& exec, size_t i, const Vector<float>& out) const;
  /// What a weights file says of its average: lawa's members as the offline job says them, without digests.
  Json describe(size_t i) const;
  /// Bytes of snapshots and sums that a rank may come to hold.
  int64_t most_bytes() const;

  /// What a state file keeps: float64 sums and the snapshots, under averages/, and description() in its header.
  std::vector<ShardArray> arrays() const;
  Json description() const;
  /// Goes on from a state file, whatever was held before. Averages that it doesn't know begin anew; what nobody asks for any more is
  /// left. `read` fills local buffers from arrays of the file; after an error of it, nothing but another restore() is of use. Returns
  /// {"added": [names], "dropped": [names]}.
  Json restore(const Json& description, const std::function<void(const std::vector<ShardArray>&)>& read);

 private:
  struct One {
    AverageProgress progress;
    std::string name;
    Vector<double> sum{};  ///< ema: e; swa: the sum

    bool windowed() const { return progress.spec.window > 0; }  ///< it has snapshots, and no sum
  };
  void begin_anew();
  void drop_unused_snapshots();

  int64_t local_size_;
  std::vector<One> averages_;
  std::map<int64_t, HostVector<float>> snapshots_;  ///< by step
};

/// average = plain + lambda (average - plain), element by element in float64, rounded once.
void blend(const Exec& exec, double lambda, const Vector<float>& plain, const Vector<float>& average);

}  // namespace lawa
