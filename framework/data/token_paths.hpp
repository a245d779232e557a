// From what a key names to token files: folders of shards and patterns.
#pragma once
#include <string>
#include <vector>

namespace lawa {

/// Whether nothing is there of that name, and no file that fits it as a pattern.
bool names_nothing(const std::string& word);

/// The files that `words` name, in their order. A folder stands for its .bin files, and where their names say what they are for (train,
/// val), for those that `key` ("data.train (train.toml:4)") is about; a pattern with * ? [ ] for the files that fit it. Both in natural
/// order, without .part files. What exists under its name is no pattern. Errors: a pattern that nothing fits; a folder without token files.
std::vector<std::string> token_paths(const std::vector<std::string>& words, const std::string& key);

}  // namespace lawa
