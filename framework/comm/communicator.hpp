// The ranks of a run, and all that passes between them: scalars and text over MPI, device buffers over NCCL where the build has
// it and over MPI where not.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "tensor/bf16.hpp"
#include "tensor/tensor.hpp"

namespace lawa {

/// Owns a duplicate of an MPI communicator, so its messages never meet another library's. Move-only. Every function marked
/// Collective must be called by all ranks in the same order.
class Communicator {
 public:
  /// Duplicates MPI_COMM_WORLD (MPI must be running). Collective.
  static Communicator world();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();

  int rank() const;
  int size() const;
  bool root() const { return rank() == 0; }
  /// Machines that the ranks run on; ranks on this one, and which of them this is.
  int nodes() const;
  int ranks_on_node() const;
  int rank_on_node() const;

  // ---- host scalars and text. Collective. ------------------------------------------------------------------------------------
  void barrier() const;
  /// Added in the order of the ranks: repeats bit for bit.
  double sum(double value) const;
  int64_t sum(int64_t value) const;
  struct Exchanged {
    double sum;
    int64_t largest, least;
  };
  /// The same, and with it, in one message, the largest of the ranks' codes and the least of their counts, of at most 2^53.
  Exchanged exchange(double value, int64_t code, int64_t count = 0) const;
  double max(double value) const;
  int64_t max(int64_t value) const;
  /// Rank 0's text, on every rank.
  std::string broadcast(std::string text) const;
  int64_t broadcast(int64_t value) const;
  /// Every rank's text in the order of the ranks, on every rank.
  std::vector<std::string> gather(const std::string& text) const;
  /// Every rank's numbers, one behind the other in the order of the ranks, on rank `to`; nothing on the others.
  std::vector<uint64_t> gather_on(int to, const std::vector<uint64_t>& mine) const;

  /// Runs work that may fail on some ranks only (files, say), then throws the same lawa::Error on all ranks if it failed on any:
  /// the lowest failing rank's, as it is. Collective; `work` itself must not call collectives.
  void together(const std::function<void()>& work) const;
  /// Within long work of together(): ends it here where another rank's has failed already. Not collective, and costs less than a
  /// microsecond: no rank waits for another.
  void end_if_another_failed() const;
  /// The same, with the work on rank 0 only.
  void on_root(const std::function<void()>& work) const;

  // ---- device buffers, queued on exec's stream where there is one. Collective. ---------------------------------------------
  /// What carries them: "MPI", "NCCL 2.22.3". Not collective.
  static std::string device_library();
  /// mine = my slice of the sum of `full` over all ranks. full (n * ranks), mine (n); they may not overlap.
  void reduce_scatter_sum(const Exec& exec, const Vector<float>& full, const Vector<float>& mine) const;
  /// full (n * ranks): the r-th of the equal parts becomes what rank r has there.
  void all_gather(const Exec& exec, const Vector<float>& full) const;
  void all_gather(const Exec& exec, const Vector<bf16>& full) const;

  struct State;
  /// For the modules that speak MPI themselves (comm/mpi.hpp).
  const State& state() const { return *state_; }

 private:
  explicit Communicator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lawa
