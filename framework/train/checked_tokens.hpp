// A set of tokens before it is used: every id looked at, by all ranks together, and their digest.
#pragma once
#include <string>

#include "comm/communicator.hpp"
#include "data/token_file.hpp"

namespace lawa {

/// The digest of all tokens, after a check that each is below the set's vocabulary. Ranks share out the reading of those files whose scan
/// isn't kept (data/token_scan.hpp) from another start. Collective. Errors: an id that isn't (names the file, the place and the id); ranks
/// see files of different sizes; TokenSet::read's; Stopped.
std::string checked_digest(const Communicator& comm, const TokenSet& tokens);

}  // namespace lawa
