// What people read: lines and one progress line on stderr, from one rank.
#pragma once
#include <cstdint>
#include <string>

#include "core/timer.hpp"

namespace lawa {

/// Prints when `enabled` (rank 0), else nothing. Where somebody watches (core/terminal.hpp) `progress` redraws one
/// line; elsewhere it prints a plain line now and then.
class Log {
 public:
  explicit Log(bool enabled);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void line(const std::string& text);
  /// `done` of `total` steps of work; `text` is what to say beside it. The time left is judged from what was done since the first
  /// call, which says none.
  void progress(int64_t done, int64_t total, const std::string& text);

 private:
  void clear();

  bool enabled_, terminal_, open_ = false;
  double printed_at_ = -1e9, began_at_ = 0;
  int64_t began_with_ = -1;  ///< steps done at the first call
  Stopwatch clock_;
};

/// "1:02:03" or "4:05".
std::string duration(double seconds);
/// "1.4 GB", "512 kB": decimal units.
std::string bytes_text(double bytes);
/// The same a second: "1.2 GB/s".
std::string rate_text(double bytes_per_second);

}  // namespace lawa
