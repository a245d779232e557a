// The one place where a program begins, ends, and catches errors.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace lawa {

/// Starts MPI and Kokkos, runs `body` with the words behind the program's name, ends both. Returns the exit code: 0, or
/// the error's (core/error.hpp) on every rank. An error that all ranks throw is printed once, by rank 0; one that only some ranks
/// throw is printed by them and the job aborted, so that nobody waits in a collective for ever. What rank 0 printed on stdout and could not
/// be written is an error.
int run_program(int argc, char** argv, const std::function<void(Communicator&, const std::vector<std::string>&)>& body);

}  // namespace lawa
