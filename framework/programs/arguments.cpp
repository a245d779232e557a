#include "programs/arguments.hpp"

#include <cstdio>
#include <filesystem>

#include "core/files.hpp"

namespace lawa {
namespace {

/// Whether rank 0 sees a file or folder of that name.
bool is_there(const Communicator& comm, const std::string& word) {
  std::error_code unknown;
  return comm.broadcast(int64_t{comm.root() && std::filesystem::exists(word, unknown)}) == 1;
}

/// "key=value": the = comes before any /, and it isn't the name of a place.
bool is_override(const Communicator& comm, const std::string& word, bool (*has_key)(const std::string&)) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals > word.find('/')) return false;
  if (has_key == nullptr || has_key(word.substr(0, equals))) return true;
  return !word.ends_with(".safetensors") && !word.ends_with(".h5") && !is_there(comm, word);
}

bool is_config(const Communicator& comm, const std::string& word) {
  return word.ends_with(".toml") && (word.find('=') == std::string::npos || is_there(comm, word));
}

}  // namespace

Arguments read_arguments(const Communicator& comm, const std::vector<std::string>& words, const std::string& option,
                         bool (*has_key)(const std::string&)) {
  Arguments arguments;
  std::vector<std::string> overrides;
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (!option.empty() && word == option) {
      arguments.option = true;
    } else if (is_config(comm, word)) {
      std::string text;
      comm.on_root([&] { text = read_file(word); });
      text = comm.broadcast(text);
      arguments.source.add_toml(text, word);
    } else if (is_override(comm, word, has_key)) {
      overrides.push_back(word);
    } else {
      LAWA_CHECK(!word.starts_with("-"), "unknown option ", word, "; keys are set as key=value, and --help lists them");
      arguments.places.push_back(word);
    }
  }
  for (const std::string& word : overrides) arguments.source.add_override(word);
  return arguments;
}

void print_keys(const Communicator& comm, const std::string& usage, const std::string& keys) {
  if (!comm.root()) return;
  std::printf("%s\n\nKeys, with their defaults (defaults < files in their order < key=value):\n\n%s", usage.c_str(), keys.c_str());
  std::fflush(stdout);
}

}  // namespace lawa
