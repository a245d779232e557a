#include "core/log.hpp"

#include <cmath>
#include <cstdio>

#include "core/terminal.hpp"

namespace lawa {
namespace {
constexpr double terminal_interval_seconds = 0.2, plain_interval_seconds = 10;
constexpr const char *begin_again = "\r\033[K", *no_wrap = "\033[?7l", *wrap = "\033[?7h";  // of a terminal, whatever its width
}

Log::Log(bool enabled) : enabled_(enabled), terminal_(shows_moving_lines() && enabled) {}
Log::~Log() { clear(); }

void Log::clear() {
  if (open_) std::fputs(begin_again, stderr);
  open_ = false;
}

void Log::line(const std::string& text) {
  if (!enabled_) return;
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void Log::progress(int64_t done, int64_t total, const std::string& text) {
  const double now = clock_.seconds();
  if (began_with_ < 0) began_with_ = done, began_at_ = now;
  const bool last = done >= total;
  if (!enabled_ || (!last && now - printed_at_ < (terminal_ ? terminal_interval_seconds : plain_interval_seconds))) return;
  printed_at_ = now;
  std::string line = std::to_string(done) + "/" + std::to_string(total) + "  " + text;
  if (!last && done > began_with_)
    line += "  " + duration((now - began_at_) * static_cast<double>(total - done) / static_cast<double>(done - began_with_)) + " left";
  if (terminal_ && !last) {
    std::fprintf(stderr, "%s%s%s%s", begin_again, no_wrap, line.c_str(), wrap);
    std::fflush(stderr);
    open_ = true;
  } else {
    clear();
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

std::string duration(double seconds) {
  const auto whole = static_cast<long long>(std::llround(seconds));
  char text[64];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

std::string bytes_text(double bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < std::size(units); ++unit) bytes /= 1000;
  char text[64];
  std::snprintf(text, sizeof text, "%.3g %s", bytes, units[unit]);
  return text;
}

std::string rate_text(double bytes_per_second) { return bytes_text(bytes_per_second) + "/s"; }

}  // namespace lawa
