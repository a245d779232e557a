// Errors: one exception type, one check, and what a program that fails ends with.
#pragma once
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>

#include "core/utf8.hpp"

namespace lawa {

/// Exit codes; 0 is that of a program that did what it was asked for.
inline constexpr int exit_error = 1, exit_diverged = 3, exit_stopped = 4;
/// Of a job that has lost a rank: more than the 128 + 9 of the ranks that are killed then, as launchers give the largest.
inline constexpr int exit_lost = 200;

/// A message as one line that people read: what it quotes may be a whole file's. Its middle is left out where it is longer than 2,000
/// bytes, control characters are question marks, and what isn't UTF-8 is written with escapes.
inline std::string one_line(const std::string& text) {
  constexpr size_t most = 2000, first = 1400, last = 540;  // a shortened one isn't shortened again
  std::string message = in_utf8(text);
  const auto begins_character = [&](size_t i) { return (static_cast<unsigned char>(message[i]) & 0xc0) != 0x80; };
  if (message.size() > most) {
    size_t begin = first, end = message.size() - last;
    while (begin > first - 4 && !begins_character(begin)) --begin;
    while (end < message.size() - last + 4 && !begins_character(end)) ++end;
    message = message.substr(0, begin) + " … (" + std::to_string(end - begin) + " bytes are left out) … " + message.substr(end);
  }
  for (char& c : message)
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  return message;
}

/// Something the user or the machine did wrong. `what()` is the whole message for people; `place` is where it was noticed.
struct Error : std::runtime_error {
  Error(const std::string& message, std::string where, int code = exit_error, bool system = false)
      : std::runtime_error(one_line(message)), place(std::move(where)), exit_code(code), of_system(system) {}
  std::string place;  ///< "framework/model/transformer.cpp:42"
  int exit_code;      ///< of a program that this ends
  /// The system has refused a call, or a library that stands on it: says nothing against what was asked for, and may pass. False where what
  /// was found there is wrong, or nothing is there.
  bool of_system;
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

/// `number` is errno's; a file that isn't there is missing, which another try won't change.
template <class... Parts>
[[noreturn]] void fail_by_system(const char* file, int line, int number, const Parts&... parts) {
  throw Error(concat(parts..., ": ", std::strerror(number)), concat(file, ":", line), exit_error, number != ENOENT);
}

/// What read() finds; nothing where what it reads is wrong or missing. Errors: the system's, and a program's that is to stop.
template <class Read>
auto if_readable(Read&& read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error& error) {
    if (error.of_system || error.exit_code != exit_error) throw;
    return std::nullopt;
  }
}

}  // namespace lawa

/// LAWA_CHECK(condition, "what is wrong, and the value: ", value): throws lawa::Error when the condition is false.
#define LAWA_CHECK(condition, ...)                                         \
  do {                                                                     \
    if (!(condition)) ::lawa::fail(__FILE__, __LINE__, __VA_ARGS__);       \
  } while (false)

/// LAWA_CHECK_SYSTEM(::fsync(file) == 0, path, ": can't be synchronised"): the same after a call of the system, whose reason (errno) is put
/// behind the message.
#define LAWA_CHECK_SYSTEM(condition, ...)                                                                \
  do {                                                                                                   \
    if (!(condition)) {                                                                                  \
      const int lawa_number = errno;                                                                     \
      ::lawa::fail_by_system(__FILE__, __LINE__, lawa_number, __VA_ARGS__);                              \
    }                                                                                                    \
  } while (false)
