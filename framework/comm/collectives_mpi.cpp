#include "comm/collectives.hpp"
#include "comm/mpi.hpp"

namespace lawa::detail {

struct Collectives::State {
  MPI_Comm comm;
};

Collectives::Collectives(MPI_Comm comm) : state_(std::make_unique<State>(comm)) {}
Collectives::~Collectives() = default;

namespace {
int count(int64_t n) {
  LAWA_CHECK(n <= INT32_MAX, "a transfer of ", n, " elements a rank is over MPI's 2^31 - 1: use smaller buckets");
  return static_cast<int>(n);
}
}  // namespace

void Collectives::reduce_scatter_sum(void*, const float* full, float* mine, int64_t n) const {
  LAWA_MPI(MPI_Reduce_scatter_block(full, mine, count(n), MPI_FLOAT, MPI_SUM, state_->comm));
}

void Collectives::all_gather(void*, const float* mine, float* full, int64_t n) const {
  LAWA_MPI(MPI_Allgather(mine, count(n), MPI_FLOAT, full, count(n), MPI_FLOAT, state_->comm));
}

}  // namespace lawa::detail
