// What people read: lines and one progress line on stderr, from one rank.
#pragma once
#include <cstdint>
#include <string>

#include "core/timer.hpp"

namespace lawa {

/// Prints when `enabled` (rank 0), else nothing. On a terminal `progress` redraws one line; elsewhere it prints a plain line
/// now and then.
class Log {
 public:
  explicit Log(bool enabled);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void line(const std::string& text);
  /// `done` of `total` steps of work, begun at `first` in this process (for the time left); `text` is what to say beside it.
  void progress(int64_t done, int64_t total, int64_t first, const std::string& text);

 private:
  void clear();

  bool enabled_, terminal_, open_ = false;
  double printed_at_ = -1e9;
  Stopwatch clock_;
};

/// "1:02:03" or "4:05".
std::string duration(double seconds);
/// "1.4 GB", "512 kB": decimal units.
std::string bytes_text(double bytes);

}  // namespace lawa
