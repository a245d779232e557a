#include "core/path_words.hpp"

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/error.hpp"

namespace lawa {
namespace {

/// A name of the environment in a text, and the bytes that stand for it there.
struct Named {
  std::string name;
  size_t bytes = 0;  ///< 0: there is none
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Of the $NAME or ${NAME} that begins at a byte.
Named name_at(const std::string& text, size_t at) {
  const size_t brace = text.compare(at, 2, "${") == 0 ? 1 : 0, begin = at + 1 + brace;
  size_t end = begin;
  while (end < text.size() && is_word(text[end])) ++end;
  const bool whole = end > begin && std::isdigit(static_cast<unsigned char>(text[begin])) == 0 && (brace == 0 || text.compare(end, 1, "}") == 0);
  return text[at] == '$' && whole ? Named{text.substr(begin, end - begin), end + brace - at} : Named{};
}

}  // namespace

std::string path_of(const std::string& written, const std::string& key) {
  std::error_code unknown;
  if (written.find_first_of("~$") == std::string::npos || std::filesystem::exists(written, unknown)) return written;
  std::string path;
  for (size_t at = 0; at < written.size();) {
    const bool is_home = at == 0 && (written == "~" || written.starts_with("~/"));
    const Named found = is_home ? Named{"HOME", 1} : name_at(written, at);
    if (found.bytes == 0) {
      path += written[at++];
      continue;
    }
    const char* value = std::getenv(found.name.c_str());
    LAWA_CHECK(value != nullptr, key, ": ", written, ": the environment has no ", found.name, " (export it; mpirun passes it on with -x ", found.name, ")");
    path += value;
    at += found.bytes;
  }
  return path;
}

}  // namespace lawa
