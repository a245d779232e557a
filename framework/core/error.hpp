// Errors: one exception type, one check, and what a program that fails ends with.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace lawa {

/// Exit codes; 0 is that of a program that did what it was asked for.
inline constexpr int exit_error = 1, exit_diverged = 3, exit_stopped = 4;

/// Something the user or the machine did wrong. `what()` is the whole message for people; `place` is where it was noticed.
struct Error : std::runtime_error {
  Error(const std::string& message, std::string where, int code = exit_error)
      : std::runtime_error(message), place(std::move(where)), exit_code(code) {}
  std::string place;  ///< "framework/model/gpt2.cpp:42"
  int exit_code;      ///< of a program that this ends
};

/// All arguments, printed one after the other.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const char* file, int line, const Parts&... parts) {
  throw Error(concat(parts...), concat(file, ":", line));
}

}  // namespace lawa

/// LAWA_CHECK(condition, "what is wrong, and the value: ", value): throws lawa::Error when the condition is false.
#define LAWA_CHECK(condition, ...)                                         \
  do {                                                                     \
    if (!(condition)) ::lawa::fail(__FILE__, __LINE__, __VA_ARGS__);       \
  } while (false)
