// What this process finds on its node, without asking another one.
#pragma once
#include "doctor/facts.hpp"

namespace lawa {

/// Host, cores, GPUs, memory and limits of this process. What MPI must say, and what must be measured, is left as it is.
RankFacts node_facts();

/// Threads that this process has.
int64_t thread_count();

}  // namespace lawa
