#include <algorithm>
#include <vector>

#include "comm/collectives.hpp"
#include "comm/mpi.hpp"

namespace lawa::detail {

constexpr int64_t chunk = 65536;  // elements of a message: what arrives is added while it is in the cache

struct Collectives::State {
  MPI_Comm comm;
  int rank = 0, size = 1;
  std::vector<float> arrived;  ///< one message
};

Collectives::Collectives(MPI_Comm comm) : state_(std::make_unique<State>(comm)) {
  LAWA_MPI(MPI_Comm_rank(comm, &state_->rank));
  LAWA_MPI(MPI_Comm_size(comm, &state_->size));
  state_->arrived.resize(static_cast<size_t>(chunk));
}
Collectives::~Collectives() = default;

std::string Collectives::library() { return "MPI"; }

namespace {
int count(int64_t n) {
  LAWA_CHECK(n <= INT32_MAX, "a transfer of ", n, " elements a rank is over MPI's 2^31 - 1: use smaller buckets");
  return static_cast<int>(n);
}
}  // namespace

// Each pair of ranks exchanges slices directly, in a round of its own: every byte travels once and is added once. Open MPI's own
// MPI_Reduce_scatter_block takes five times as long between two ranks of one machine.
void Collectives::reduce_scatter_sum(void*, const float* full, float* mine, int64_t n) const {
  const int rank = state_->rank, size = state_->size;
  std::copy_n(full + rank * n, n, mine);
  for (int round = 1; round < size; ++round) {
    const int to = (rank + round) % size, from = (rank - round + size) % size;
    for (int64_t begin = 0; begin < n; begin += chunk) {
      const int64_t some = std::min(chunk, n - begin);
      float* const arrived = state_->arrived.data();
      LAWA_MPI(MPI_Sendrecv(full + to * n + begin, count(some), MPI_FLOAT, to, 0, arrived, count(some), MPI_FLOAT, from, 0, state_->comm,
                            MPI_STATUS_IGNORE));
#pragma omp simd
      for (int64_t i = 0; i < some; ++i) mine[begin + i] += arrived[i];
    }
  }
}

void Collectives::all_gather(void*, void* full, int64_t n, int64_t bytes) const {
  const MPI_Datatype type = bytes == 2 ? MPI_UINT16_T : MPI_FLOAT;
  LAWA_MPI(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, full, count(n), type, state_->comm));
}

}  // namespace lawa::detail
