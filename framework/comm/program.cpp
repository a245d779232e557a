#include "comm/program.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "comm/mpi.hpp"
#include "comm/watchdog.hpp"
#include "tensor/device.hpp"

namespace lawa {
namespace {

constexpr auto patience = std::chrono::seconds(3);  // how long a failing rank waits for the others to fail as well

/// True when every rank of `comm` calls this within the patience of the first.
bool everyone_comes(MPI_Comm comm) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (MPI_Ibarrier(comm, &request) != MPI_SUCCESS) return false;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (int done = 0; std::chrono::steady_clock::now() < deadline;) {
    if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
    if (done != 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

void print_error(int rank, int size, const std::string& what, const std::string& place) {
  const std::string from = size > 1 ? " [rank " + std::to_string(rank) + "]" : "";
  std::fprintf(stderr, "lawa: error%s: %s (%s)\n", from.c_str(), what.c_str(), place.c_str());
  std::fflush(stderr);
}

/// Prints the error once if all ranks failed, else from here; in the second case it doesn't return. Returns its exit code. A program that
/// was asked to stop says so, and it is no error.
int end_all_ranks(MPI_Comm comm, const Error& error) {
  int rank = 0, size = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  const bool together = everyone_comes(comm);
  if (together && rank == 0 && error.exit_code == exit_stopped) std::fprintf(stderr, "lawa: %s\n", error.what());
  else if (rank == 0 || !together) print_error(rank, size, error.what(), error.place);
  if (!together) MPI_Abort(MPI_COMM_WORLD, exit_error);
  return error.exit_code;
}

/// work(); its error is printed, and its exit code returned.
template <class Work>
int reporting(MPI_Comm comm, Work&& work) {
  try {
    work();
    return 0;
  } catch (const Error& error) {
    return end_all_ranks(comm, error);
  } catch (const std::bad_alloc&) {
    return end_all_ranks(comm, Error("out of memory", "the standard library"));
  } catch (const std::exception& error) {
    return end_all_ranks(comm, Error(error.what(), "a library"));
  }
}

/// Errors: not all that was printed has arrived. The system's reason is gone by now.
void check_output() {
  LAWA_CHECK(std::fflush(stdout) == 0 && std::ferror(stdout) == 0, "standard output: the results could not be written to it; is its disk full?");
}

}  // namespace

int run_program(int argc, char** argv, const std::function<void(Communicator&, const std::vector<std::string>&)>& body) {
  int provided = 0, status = 0;
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow (ulimit -f) is an error that names it
  ::setenv("OMPI_MCA_sharedfp", "individual", 0);  // Open MPI's other shared file pointers overflow at paths of 200 characters
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm errors_comm = MPI_COMM_NULL;  // of its own: a failing rank may have left messages on the others
  MPI_Comm_dup(MPI_COMM_WORLD, &errors_comm);
  const int outside = reporting(errors_comm, [&] {
    const Kokkos::ScopeGuard kokkos;  // without argv: --help is ours; KOKKOS_… variables still count
    check_kernels();
    Communicator comm = Communicator::world();
    const Watchdog watchdog(errors_comm, hang_seconds(), [rank = comm.rank(), size = comm.size()](const std::string& words) {
      if (!words.empty()) print_error(rank, size, words, "comm/watchdog.cpp");
      std::_Exit(exit_lost);  // MPI itself may be what hangs
    });
    status = reporting(errors_comm, [&] {  // in here: the ends of both may wait for ranks that don't come
      body(comm, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
      comm.on_root(check_output);
    });
  });
  MPI_Comm_free(&errors_comm);
  MPI_Finalize();
  return std::max(status, outside);
}

}  // namespace lawa
