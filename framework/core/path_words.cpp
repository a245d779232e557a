#include "core/path_words.hpp"

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "core/error.hpp"

namespace lawa {

std::string path_of(const std::string& written, const std::string& key) {
  static const std::regex names(R"(^~(?=/|$)|\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}))");
  std::error_code unknown;
  if (written.find_first_of("~$") == std::string::npos || std::filesystem::exists(written, unknown)) return written;
  std::string path;
  auto rest = written.cbegin();
  for (std::sregex_iterator match(written.begin(), written.end(), names), end; match != end; ++match) {
    const std::string name = (*match)[1].matched ? (*match)[1].str() : (*match)[2].matched ? (*match)[2].str() : "HOME";
    const char* value = std::getenv(name.c_str());
    LAWA_CHECK(value != nullptr, key, ": ", written, ": the environment has no ", name, " (export it; mpirun passes it on with -x ", name, ")");
    path.append(rest, (*match)[0].first).append(value);
    rest = (*match)[0].second;
  }
  return path.append(rest, written.cend());
}

}  // namespace lawa
