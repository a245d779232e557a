#include "programs/arguments.hpp"

#include <cstdio>

#include "core/files.hpp"

namespace lawa {

Arguments read_arguments(const Communicator& comm, const std::vector<std::string>& words, const std::string& option) {
  Arguments arguments;
  std::vector<std::string> overrides;
  for (const std::string& word : words) {
    check_is_utf8(word);
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (!option.empty() && word == option) {
      arguments.option = true;
    } else if (word.ends_with(".toml") && word.find('=') == std::string::npos) {
      std::string text;
      comm.on_root([&] { text = read_file(word); });
      text = comm.broadcast(text);
      arguments.source.add_toml(text, word);
    } else if (word.find('=') < word.find('/')) {
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
