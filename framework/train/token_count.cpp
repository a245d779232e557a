#include "train/token_count.hpp"

#include "core/error.hpp"

namespace lawa {

void TokenCount::go_on(int64_t step, int64_t tokens, const Json& changes) {
  changes_.clear();
  if (!changes.is_null()) {
    try {
      changes_ = changes.get<decltype(changes_)>();
    } catch (const Json::exception& error) {
      fail(__FILE__, __LINE__, "batch_changes: ", changes.dump(), " is no list of steps and their tokens: ", error.what());
    }
  }
  std::pair<int64_t, int64_t> before{0, 0};
  for (const auto& change : changes_) {
    LAWA_CHECK(change.first > before.first && change.second > before.second && change.first <= step && change.second <= tokens,
               "batch_changes: ", changes.dump(), " don't lead to step ", step, " and ", tokens, " tokens");
    before = change;
  }
  if (until(step) != tokens) changes_.emplace_back(step, tokens);
}

int64_t TokenCount::until(int64_t step) const {
  std::pair<int64_t, int64_t> before{0, 0};
  for (const auto& [at, tokens] : changes_) {
    if (step < at) return before.second + (step - before.first) * ((tokens - before.second) / (at - before.first));
    before = {at, tokens};
  }
  return before.second + (step - before.first) * step_tokens_;
}

}  // namespace lawa
