// Counts and lists as people read them.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace lawa {

/// "1 rank", "2 ranks".
std::string counted(int64_t count, const std::string& what);

/// "n1, n2, n3, n4 and 12 more".
std::string listed(const std::vector<std::string>& names);

/// "0-3,8".
std::string ranges_text(const std::set<int64_t>& numbers);

}  // namespace lawa
