#include <cuda_runtime.h>
#include <nccl.h>

#include "comm/collectives.hpp"
#include "core/error.hpp"

namespace lawa::detail {
namespace {
void check(ncclResult_t status) { LAWA_CHECK(status == ncclSuccess, "NCCL: ", ncclGetErrorString(status)); }
void check(cudaError_t status) { LAWA_CHECK(status == cudaSuccess, "CUDA: ", cudaGetErrorString(status)); }
}  // namespace

struct Collectives::State {
  ncclComm_t comm{};
};

// Kokkos has chosen this rank's device already; the identifier that NCCL's ranks meet by travels over MPI.
Collectives::Collectives(MPI_Comm comm) : state_(std::make_unique<State>()) {
  int rank = 0, size = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  ncclUniqueId id{};
  if (rank == 0) check(ncclGetUniqueId(&id));
  const int status = MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, comm);
  LAWA_CHECK(status == MPI_SUCCESS, "MPI_Bcast of NCCL's identifier failed with ", status);
  check(ncclCommInitRank(&state_->comm, size, id, rank));
}

Collectives::~Collectives() { ncclCommDestroy(state_->comm); }

void Collectives::reduce_scatter_sum(void* stream, const float* full, float* mine, int64_t n) const {
  check(ncclReduceScatter(full, mine, static_cast<size_t>(n), ncclFloat, ncclSum, state_->comm, static_cast<cudaStream_t>(stream)));
  check(cudaGetLastError());
}

void Collectives::all_gather(void* stream, const float* mine, float* full, int64_t n) const {
  check(ncclAllGather(mine, full, static_cast<size_t>(n), ncclFloat, state_->comm, static_cast<cudaStream_t>(stream)));
  check(cudaGetLastError());
}

}  // namespace lawa::detail
