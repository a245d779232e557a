// Paths as people write them in config files, where no shell looks at them.
#pragma once
#include <string>

namespace lawa {

/// The path with ~ at its beginning as $HOME, and $NAME and ${NAME} as the environment has them; a path that exists as it is written stays
/// so. `key` says whose path it is, for messages. Errors: the environment has no such name.
std::string path_of(const std::string& written, const std::string& key);

}  // namespace lawa
