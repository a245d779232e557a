// Runs that one program of a number of ranks leaves for others to go on with.
#pragma once
#include <filesystem>
#include <string>

namespace lawa::test {

/// The folder of the tiny run that `ranks` ranks have written, below the folder that CMakeLists.txt names.
inline std::filesystem::path written_on(int ranks) { return std::filesystem::path(LAWA_WRITTEN_ON) / std::to_string(ranks); }

}  // namespace lawa::test
