#include "data/token_paths.hpp"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <set>

#include "core/error.hpp"
#include "core/natural_order.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

bool exists(const fs::path& path) {
  std::error_code unknown;
  return fs::exists(fs::symlink_status(path, unknown));
}
bool is_folder(const fs::path& path) {
  std::error_code unknown;
  return fs::is_directory(path, unknown);
}
bool is_pattern(const std::string& word) { return word.find_first_of("*?[") != std::string::npos && !exists(word); }

/// In natural order, without files that are being written.
std::vector<std::string> in_order(std::vector<std::string> paths) {
  std::erase_if(paths, [](const std::string& path) { return path.ends_with(".part"); });
  std::ranges::sort(paths, natural_less);
  return paths;
}

std::vector<std::string> matches(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> freed(&found, ::globfree);
  if (status != 0) return {};
  return in_order({found.gl_pathv, found.gl_pathv + found.gl_pathc});
}

enum class Use { any, training, validation };

/// What a file's name says that it is for: one of its words, between anything but letters.
Use use_of(const fs::path& path) {
  static const std::set<std::string> training{"train", "training", "trn"}, validation{"val", "valid", "validation", "test", "dev", "eval", "heldout"};
  std::string word;
  for (const char c : path.stem().string() + " ") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    if (training.contains(word)) return Use::training;
    if (validation.contains(word)) return Use::validation;
    word.clear();
  }
  return Use::any;
}

/// "a.npy, b.npy, …"
std::string some_names(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 3); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return text + (names.size() > 3 ? ", …" : "");
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator(); entry.increment(error))
    names.push_back(entry->path().filename().string());
  LAWA_CHECK(!error, folder.string(), ": can't be read: ", error.message());
  return in_order(names);
}

std::vector<std::string> shards_in(const fs::path& folder, const std::string& key) {
  const std::vector<std::string> names = names_in(folder);
  std::vector<std::string> shards;
  std::ranges::copy_if(names, std::back_inserter(shards), [](const std::string& name) { return fs::path(name).extension() == ".bin"; });
  LAWA_CHECK(!shards.empty(), key, ": ", folder.string(), ": is a folder without token files (*.bin)",
             names.empty() ? ": it is empty" : "; it holds " + some_names(names), "; data/prepare.py makes token files");
  if (std::ranges::any_of(shards, [](const std::string& name) { return use_of(name) != Use::any; })) {
    const Use wanted = key.starts_with("data.validation") ? Use::validation : Use::training;
    const std::string all = some_names(shards);
    std::erase_if(shards, [&](const std::string& name) { return use_of(name) != wanted; });
    LAWA_CHECK(!shards.empty(), key, ": ", folder.string(), ": none of its token files is called ",
               wanted == Use::training ? "train" : "val", "…: ", all, "; name the files, or a pattern");
  }
  for (std::string& name : shards) name = (folder / name).string();
  return shards;
}

}  // namespace

bool names_nothing(const std::string& word) { return is_pattern(word) ? matches(word).empty() : !exists(word); }

std::vector<std::string> token_paths(const std::vector<std::string>& words, const std::string& key) {
  std::vector<std::string> paths;
  for (const std::string& word : words) {
    const std::vector<std::string> found = is_pattern(word) ? matches(word) : std::vector{word};
    LAWA_CHECK(!found.empty(), key, ": no file fits ", word);
    for (const std::string& path : found) {
      const std::vector<std::string> files = is_folder(path) ? shards_in(path, key) : std::vector{path};
      paths.insert(paths.end(), files.begin(), files.end());
    }
  }
  return paths;
}

}  // namespace lawa
