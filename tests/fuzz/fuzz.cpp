#include "fuzz/fuzz.hpp"

#include <mpi.h>
#include <stdlib.h>

#include <Kokkos_Core.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/error.hpp"

namespace lawa::fuzz {
namespace fs = std::filesystem;
namespace {

Answers so_far;

[[noreturn]] void report(const std::string& what, const std::string& message) {
  std::fprintf(stderr, "fuzz: %s: %s\n", what.c_str(), message.c_str());
  std::abort();
}

void check_message(const std::string& message) {
  constexpr size_t longest = 2000;
  if (message.empty()) report("an error without a message", "");
  if (message.size() > longest) report("a message of " + std::to_string(message.size()) + " bytes", message);
  if (!is_utf8(message)) report("a message that isn't UTF-8", message);
  for (const char c : message)
    if (static_cast<unsigned char>(c) < ' ') report("a message with a control character", message);
}

/// Made at the first use.
struct Folder {
  fs::path path;
  Folder() {
    const fs::path memory = "/dev/shm";
    std::string pattern = ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "lawa_fuzz_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) report("no temporary folder could be made", pattern);
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

struct Ranks {
  Ranks() {
    ::setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);  // without a daemon beside it
    MPI_Init(nullptr, nullptr);
    Kokkos::initialize();
  }
  ~Ranks() {
    Kokkos::finalize();
    MPI_Finalize();
  }
};

}  // namespace

Answers answers() { return so_far; }

int expect_answer(const std::function<void()>& read) {
  try {
    read();
    ++so_far.results;
  } catch (const Error& error) {
    check_message(error.what());
    ++so_far.errors;
  } catch (const std::exception& error) {
    report("an exception that isn't lawa::Error", error.what());
  }
  return 0;
}

const fs::path& folder() {
  static const Folder made;
  return made.path;
}

fs::path put(const fs::path& name, const std::string& text) {
  const fs::path path = folder() / name;
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(text.data(), static_cast<std::streamsize>(text.size()));
  return path;
}

std::vector<std::string> files_of(const std::string& input, size_t count) {
  const std::string line = between_files;
  std::vector<std::string> files;
  for (size_t begin = 0; files.size() < count;) {
    const size_t end = files.size() + 1 < count && begin <= input.size() ? input.find(line, begin) : input.npos;
    files.push_back(begin <= input.size() ? input.substr(begin, end - begin) : "");
    begin = end == input.npos ? input.size() + 1 : end + line.size();
  }
  return files;
}

std::string repeated(const std::string& text, size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

void start_ranks() { static const Ranks ranks; }

}  // namespace lawa::fuzz
