// The device collectives that a backend file implements: collectives_mpi.cpp or collectives_nccl.cpp.
#pragma once
#include <mpi.h>

#include <cstdint>
#include <memory>
#include <string>

namespace lawa::detail {

/// What a backend keeps between calls (an NCCL communicator; nothing for MPI). One for each Communicator.
class Collectives {
 public:
  /// Collective over `comm`, which outlives the object.
  explicit Collectives(MPI_Comm comm);
  ~Collectives();
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  /// Name and version of what the backend stands on: "MPI", "NCCL 2.22.3".
  static std::string library();

  /// mine[0..n) = slice `rank` of the sum over ranks of full[0..n*ranks). Device pointers, queued on `stream`.
  void reduce_scatter_sum(void* stream, const float* full, float* mine, int64_t n) const;
  /// Elements [r*n, (r+1)*n) of full, of `bytes` bytes each (4 or 2), become what rank r has there.
  void all_gather(void* stream, void* full, int64_t n, int64_t bytes) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lawa::detail
