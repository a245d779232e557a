// A program of which one rank fails while the others wait for it: what belongs to all of them can't be ended in good order.
#include <chrono>
#include <thread>

#include "comm/program.hpp"

int main(int argc, char** argv) {
  return lawa::run_program(argc, argv, [](lawa::Communicator& comm, const std::vector<std::string>&) {
    Kokkos::push_finalize_hook([] { std::this_thread::sleep_for(std::chrono::hours(1)); });  // as a library that waits for its peers
    LAWA_CHECK(comm.root(), "this rank has failed alone");
    comm.barrier();
  });
}
