// Which program this is.
#pragma once
#include <string>

namespace lawa {

struct Version {
  std::string number;  ///< "0.1.0"
  std::string git;     ///< commit, or "unknown"
  bool dirty;          ///< tracked files differed from the commit at build time
  std::string build;   ///< compiler, build type, backends
};

/// Filled in at build time.
Version version();

}  // namespace lawa
