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
  int rank = 0;
};

// Kokkos has chosen this rank's device already; the identifier that NCCL's ranks meet by travels over MPI.
Collectives::Collectives(MPI_Comm comm) : state_(std::make_unique<State>()) {
  int size = 1;
  int& rank = state_->rank;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  ncclUniqueId id{};
  if (rank == 0) check(ncclGetUniqueId(&id));
  const int status = MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, comm);
  LAWA_CHECK(status == MPI_SUCCESS, "MPI_Bcast of NCCL's identifier failed with ", status);
  check(ncclCommInitRank(&state_->comm, size, id, rank));
}

Collectives::~Collectives() { ncclCommDestroy(state_->comm); }

std::string Collectives::library() {
  int version = 0;
  check(ncclGetVersion(&version));
  return concat("NCCL ", version / 10000, ".", version / 100 % 100, ".", version % 100);
}

void Collectives::reduce_scatter_sum(void* stream, const float* full, float* mine, int64_t n) const {
  check(ncclReduceScatter(full, mine, static_cast<size_t>(n), ncclFloat, ncclSum, state_->comm, static_cast<cudaStream_t>(stream)));
  check(cudaGetLastError());
}

void Collectives::all_gather(void* stream, void* full, int64_t n, int64_t bytes) const {
  const auto part = static_cast<size_t>(n * bytes);
  const char* const mine = static_cast<char*>(full) + static_cast<size_t>(state_->rank) * part;
  check(ncclAllGather(mine, full, part, ncclUint8, state_->comm, static_cast<cudaStream_t>(stream)));
  check(cudaGetLastError());
}

}  // namespace lawa::detail
