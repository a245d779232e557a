// Which key was meant by one that isn't known.
#pragma once
#include <map>
#include <string>

namespace lawa {

/// "; did you mean schedule.final_lr or schedule.peak_lr?", or "" where none of the known keys (with what their help says) is like `key`.
/// Looked for are the same name in another table, then a slip of the pen, then names that share its words, then help that has them.
std::string nearest_keys(const std::string& key, const std::map<std::string, std::string>& known);

}  // namespace lawa
