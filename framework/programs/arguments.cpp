#include "programs/arguments.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "core/files.hpp"
#include "core/log.hpp"
#include "core/path_words.hpp"

namespace lawa {
namespace {

constexpr std::string_view hf = "hf:";

/// "averages.3.window" as "averages.0.window".
std::string in_first_table(const std::string& key) {
  std::string text;
  for (size_t begin = 0, end = 0; begin <= key.size(); begin = end + 1) {
    end = std::min(key.find('.', begin), key.size());
    const std::string part = key.substr(begin, end - begin);
    const bool is_number = begin > 0 && !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    text += (begin > 0 ? "." : "") + (is_number ? "0" : part);
  }
  return text;
}

std::string named(const std::vector<std::string>& keys) {
  constexpr size_t most = 3;
  std::string text;
  for (size_t i = 0; i < std::min(keys.size(), most); ++i) text += (i == 0 ? "" : ", ") + keys[i];
  return keys.size() > most ? text + concat(" and ", keys.size() - most, " more") : text;
}

/// Whether rank 0 sees a file or folder of that name.
bool is_there(const Communicator& comm, const std::string& word) {
  std::error_code unknown;
  return comm.broadcast(int64_t{comm.root() && std::filesystem::exists(word, unknown)}) == 1;
}

/// "key=value": the = comes before any /, and it isn't the name of a place.
bool is_override(const Communicator& comm, const std::string& word, const std::set<std::string>& keys) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals > word.find('/') || word.starts_with(hf)) return false;
  if (keys.contains(in_first_table(word.substr(0, equals)))) return true;
  return !word.ends_with(".safetensors") && !word.ends_with(".h5") && !is_there(comm, word);
}

bool is_config(const Communicator& comm, const std::string& word) {
  return word.ends_with(".toml") && (word.find('=') == std::string::npos || is_there(comm, word));
}

}  // namespace

Arguments read_arguments(const Communicator& comm, const std::vector<std::string>& words, const std::string& option,
                         const std::set<std::string>& keys) {
  Arguments arguments;
  std::vector<std::string> overrides;
  for (const std::string& word : words) {
    check_is_utf8(word);
    if (word == "--help" || word == "-h") {
      arguments.help = true;
    } else if (!option.empty() && word == option) {
      arguments.option = true;
    } else if (is_config(comm, word)) {
      std::string text;
      comm.on_root([&] { text = read_file(path_of(word, "the command line")); });
      text = comm.broadcast(text);
      arguments.source.add_toml(text, word);
    } else if (is_override(comm, word, keys)) {
      overrides.push_back(word);
    } else {
      LAWA_CHECK(!word.starts_with("-"), "unknown option ", word, "; keys are set as key=value, and --help lists them");
      arguments.places.push_back(path_of(word.starts_with(hf) ? word.substr(hf.size()) : word, "the command line"));
    }
  }
  for (const std::string& word : overrides) arguments.source.add_override(word);
  return arguments;
}

void leave_keys_of_others(const Communicator& comm, const KnownKeys& own, const std::vector<KnownKeys>& all, ConfigSource& source) {
  std::map<std::string, std::vector<std::string>> left;  // by command
  for (const auto& [written, entry] : source.entries()) {
    const std::string key = in_first_table(written);
    if (own.keys.contains(key)) continue;
    const auto other = std::ranges::find_if(all, [&](const KnownKeys& known) { return known.keys.contains(key); });
    if (other == all.end()) continue;
    LAWA_CHECK(entry.place != ConfigSource::command_line, written, " (", entry.place, "): is a key of lawa ", other->command, ", not of lawa ", own.command);
    left[other->command].push_back(written);
  }
  Log log(comm.root());
  for (const auto& [command, keys] : left) {
    log.line("left alone: " + named(keys) + ", which " + (keys.size() == 1 ? "is a key" : "are keys") + " of lawa " + command +
             source.where(keys[0]));
    for (const std::string& key : keys) source.drop(key);
  }
}

void print_keys(const Communicator& comm, const std::string& usage, const std::string& keys) {
  if (!comm.root()) return;
  std::printf("%s\n\nKeys, with their defaults (defaults < files in their order < key=value):\n\n%s", usage.c_str(), keys.c_str());
  std::fflush(stdout);
}

}  // namespace lawa
