// A token file of random tokens, for all ranks.
#pragma once
#include <string>

#include "comm/communicator.hpp"
#include "support/fixtures.hpp"
#include "support/token_files.hpp"

namespace lawa::test {

/// `count` ids below `vocabulary`, as raw uint16. Collective; rank 0 writes. Returns the path as configs hold it.
inline std::string write_random_tokens(const Communicator& comm, const std::filesystem::path& path, int64_t count,
                                       int64_t vocabulary, uint64_t seed) {
  const std::vector<int32_t> ids = token_ids(count, vocabulary, seed);
  comm.on_root([&] { write_tokens(path, {ids.begin(), ids.end()}); });
  return path.string();
}

}  // namespace lawa::test
