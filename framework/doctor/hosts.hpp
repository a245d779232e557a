// The ranks of a job by host.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "doctor/facts.hpp"

namespace lawa {

struct Host {
  std::string name;
  std::vector<int64_t> ranks;     ///< in their order
  std::set<int64_t> cpus, cores;  ///< that any of them may run on
  int64_t threads = 0;            ///< of all of them
};

/// In the order of their first ranks.
std::vector<Host> hosts_of(const std::vector<RankFacts>& ranks);

/// Some cpus of a host, the cores that they belong to, and all the ranks that may run on no others.
struct Room {
  std::set<int64_t> cpus, cores;
  std::vector<int64_t> ranks;
};

/// The cpus of each rank of a host, and of all of them together; the smallest first.
std::vector<Room> rooms_of(const Host& host, const std::vector<RankFacts>& ranks);

}  // namespace lawa
