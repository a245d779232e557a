#include "core/terminal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

fs::path of_process(const std::string& pid, const char* what) { return fs::path("/proc") / pid / what; }

/// What a process has as its stderr: "pipe:[4711]", "/dev/pts/3"; "" where it can't be seen.
std::string stderr_of(const std::string& pid) {
  std::error_code hidden;
  return fs::read_symlink(of_process(pid, "fd/2"), hidden).string();
}

std::string parent_of(const std::string& pid) {
  std::ifstream status(of_process(pid, "status"));
  for (std::string key, value; status >> key && std::getline(status, value);)
    if (key == "PPid:") return value.substr(std::min(value.find_first_not_of(" \t"), value.size()));
  return "";
}

bool starts_mpi(const std::string& pid) {
  std::string name;
  std::getline(std::ifstream(of_process(pid, "comm")), name);
  return std::ranges::any_of(std::array{"mpirun", "mpiexec", "orterun", "prterun"}, [&](const char* one) { return name.starts_with(one); });
}

bool has_terminal(const std::string& pid) {
  const int opened = ::open(of_process(pid, "fd/2").c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (opened < 0) return false;
  const bool terminal = ::isatty(opened) == 1;
  ::close(opened);
  return terminal;
}

bool mpirun_has_terminal() {
  const std::string mine = stderr_of("self");
  if (!mine.starts_with("pipe:")) return false;
  std::string pid = std::to_string(::getppid());
  while (pid.size() > 0 && pid != "0" && stderr_of(pid) == mine) pid = parent_of(pid);
  return starts_mpi(pid) && has_terminal(pid);
}

}  // namespace

bool shows_moving_lines() {
  const char* const set = std::getenv("LAWA_PROGRESS");
  const std::string wanted = set == nullptr ? "" : set;
  LAWA_CHECK(wanted.empty() || wanted == "line" || wanted == "lines", "LAWA_PROGRESS: ", wanted,
             " must be line (one that moves) or lines (plain ones)");
  if (!wanted.empty()) return wanted == "line";
  return ::isatty(STDERR_FILENO) == 1 || mpirun_has_terminal();
}

}  // namespace lawa
