// What the system refuses may work a moment later: it is tried again, so often, with a longer pause each time.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "core/activity.hpp"
#include "core/error.hpp"

namespace lawa {

/// Behind the n-th failure in a row: 1/2 s, 1 s, 2 s, … 16 s.
inline std::chrono::milliseconds pause_behind(int64_t failures) { return std::chrono::milliseconds(250 << std::min<int64_t>(failures, 6)); }

/// work(), at most `tries` times, as long as its error is of the system; failed(error) is told what another try follows. May be collective,
/// where work() is and its errors reach all ranks alike. Errors: work()'s; the system's last one says how often it was tried.
template <class Work>
auto with_tries(int64_t tries, const std::function<void(const std::string&)>& failed, Work&& work) -> decltype(work()) {
  for (int64_t failures = 1;; ++failures) {
    try {
      return work();
    } catch (const Error& error) {
      if (!error.of_system) throw;
      if (failures >= tries) throw Error(concat(error.what(), "; it was tried ", tries, tries == 1 ? " time" : " times"), error.place, error.exit_code, true);
      failed(error.what());
    }
    std::this_thread::sleep_for(pause_behind(failures));
    note_change();
  }
}

}  // namespace lawa
