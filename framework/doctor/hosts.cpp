#include "doctor/hosts.hpp"

#include <algorithm>
#include <map>

namespace lawa {

std::vector<Host> hosts_of(const std::vector<RankFacts>& ranks) {
  std::vector<Host> hosts;
  std::map<std::string, size_t> places;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankFacts& facts = ranks[rank];
    const auto [place, is_new] = places.try_emplace(facts.host, hosts.size());
    if (is_new) hosts.push_back({facts.host, {}, {}, {}, 0});
    Host& host = hosts[place->second];
    host.ranks.push_back(static_cast<int64_t>(rank));
    host.cpus.insert(facts.cpus.begin(), facts.cpus.end());
    host.cores.insert(facts.cores.begin(), facts.cores.end());
    host.threads += facts.threads;
  }
  return hosts;
}

std::vector<Room> rooms_of(const Host& host, const std::vector<RankFacts>& ranks) {
  std::set<std::set<int64_t>> masks = {host.cpus};
  for (const int64_t rank : host.ranks) {
    const auto& cpus = ranks[static_cast<size_t>(rank)].cpus;
    masks.emplace(cpus.begin(), cpus.end());
  }
  std::vector<Room> rooms;
  for (const auto& cpus : masks) {
    Room room{cpus, {}, {}};
    for (const int64_t rank : host.ranks) {
      const RankFacts& facts = ranks[static_cast<size_t>(rank)];
      if (!std::ranges::includes(cpus, facts.cpus)) continue;
      room.ranks.push_back(rank);
      room.cores.insert(facts.cores.begin(), facts.cores.end());
    }
    rooms.push_back(std::move(room));
  }
  std::ranges::stable_sort(rooms, {}, [](const Room& room) { return room.cpus.size(); });
  return rooms;
}

}  // namespace lawa
