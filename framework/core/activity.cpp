#include "core/activity.hpp"

#include <algorithm>
#include <array>
#include <atomic>

namespace lawa {
namespace {

constexpr int most_open = 16;  // deeper ones count as the sixteenth
std::atomic<int64_t> changes = 0, meetings = 0;
std::array<std::atomic<const char*>, most_open> parts{};
std::atomic<int> open_parts = 0;

const char* part(int i) {
  const char* name = i < 0 || i >= most_open ? nullptr : parts[static_cast<size_t>(i)].load();
  return name == nullptr ? "" : name;
}

}  // namespace

Activity activity() {
  const int open = std::min(open_parts.load(), most_open);
  return {changes.load(), meetings.load(), part(open - 1 >= 0 ? 0 : -1), part(open - 1 > 0 ? open - 1 : -1)};
}

void note_change() { changes.fetch_add(1, std::memory_order_relaxed); }

void note_meeting() {
  meetings.fetch_add(1);
  note_change();
}

void begin_part(const char* name) {
  if (const int at = open_parts.load(); at < most_open) parts[static_cast<size_t>(at)] = name;
  open_parts.fetch_add(1);
  note_change();
}

void end_part() {
  open_parts.fetch_sub(1);
  note_change();
}

}  // namespace lawa
