// Drives a target without libFuzzer: what the project's writers make, what once failed (corpus/), and random changes to both.
//
//   LAWA_FUZZ_INPUTS   how many changed inputs (default 400)
//   LAWA_FUZZ_SEED     of the changes (default 1)
//   fuzz_TARGET FILE…  runs these inputs instead
//   fuzz_TARGET --write FOLDER   writes valid and hostile inputs there, for libFuzzer to begin with
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

#include "core/files.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/mutate.hpp"

namespace {

std::atomic<size_t> held = 0, most_held = 0;

}  // namespace

// Sizes are checked before anything is allocated for them: memory is counted here, and an input may hold so much of it.
void* operator new(size_t size) {
  constexpr size_t bound = size_t{256} << 20;
  void* const memory = size < bound ? std::malloc(size) : nullptr;
  if (memory == nullptr) {
    std::fprintf(stderr, "fuzz: an allocation of %zu bytes\n", size);
    std::abort();
  }
  const size_t now = held += ::malloc_usable_size(memory);
  if (now > most_held) most_held = now;
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void operator delete(void* memory) noexcept {
  if (memory != nullptr) held -= ::malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace lawa::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr double most_seconds = LAWA_FUZZ_SECONDS;  // of the processor's time
constexpr size_t most_bytes = size_t{64} << 20;

double processor_seconds() {
  struct timespec now {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The input that is being read, in a file that outlives the process when it crashes.
class Current {
 public:
  explicit Current(fs::path path) : path_(std::move(path)) {
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void* mapped = MAP_FAILED;
    if (file >= 0 && ::ftruncate(file, room) == 0) mapped = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
      std::fprintf(stderr, "fuzz: %s: can't be written\n", path_.c_str());
      std::exit(1);
    }
    ::close(file);
    bytes_ = static_cast<char*>(mapped);
  }
  ~Current() {
    ::munmap(bytes_, room);
    fs::remove(path_);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

  /// Its length is its first eight bytes.
  void set(const std::string& input) {
    const uint64_t size = std::min(input.size(), room - sizeof(uint64_t));
    std::memcpy(bytes_, &size, sizeof size);
    std::memcpy(bytes_ + sizeof size, input.data(), size);
  }

 private:
  static constexpr size_t room = size_t{4} << 20;
  fs::path path_;
  char* bytes_ = nullptr;
};

struct Longest {
  double seconds = 0;
  size_t bytes = 0;
};

void run(const std::string& input, Current& current, Longest& longest) {
  current.set(input);
  const double began = processor_seconds();
  const size_t before = held;
  most_held = before;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  const double seconds = processor_seconds() - began;
  const size_t bytes = most_held - before;
  longest = {std::max(longest.seconds, seconds), std::max(longest.bytes, bytes)};
  if (seconds <= most_seconds && bytes <= most_bytes) return;
  std::fprintf(stderr, "fuzz: an input took %.2f s and %zu bytes of memory; %.0f s and %zu are allowed\n", seconds, bytes, most_seconds, most_bytes);
  std::abort();
}

void run_valid(Current& current, Longest& longest) {
  for (const std::string& input : valid_inputs()) {
    const int64_t before = answers().results;
    run(input, current, longest);
    if (answers().results > before) continue;
    std::fprintf(stderr, "fuzz: what the project's own writer made isn't read:\n%s\n", input.c_str());
    std::exit(1);
  }
}

std::vector<std::string> kept_inputs(const std::string& target) {
  std::vector<fs::path> files;
  if (const fs::path corpus = fs::path(LAWA_FUZZ_CORPUS) / target; fs::is_directory(corpus))
    for (const auto& entry : fs::directory_iterator(corpus)) files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<std::string> inputs;
  for (const fs::path& file : files) inputs.push_back(read_file(file));
  return inputs;
}

/// Of what a crash has left in Current's file, the input.
std::string without_length(std::string text) {
  uint64_t size = 0;
  if (text.size() < sizeof size) return text;
  std::memcpy(&size, text.data(), sizeof size);
  return size <= text.size() - sizeof size ? text.substr(sizeof size, size) : text;
}

int write_inputs(const fs::path& to) {
  fs::create_directories(to);
  size_t count = 0;
  for (const auto& inputs : {valid_inputs(), hostile_inputs()})
    for (const std::string& input : inputs) write_file(to / ("made_" + std::to_string(count++)), input, false);
  return 0;
}

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

int drive(const fs::path& program) {
  const uint64_t seed = number_from("LAWA_FUZZ_SEED", 1), count = number_from("LAWA_FUZZ_INPUTS", 400);
  const fs::path crash = program.string() + "." + std::to_string(seed) + ".input";
  std::printf("%s: seed %llu; a crash leaves its input in %s\n", program.filename().c_str(), static_cast<unsigned long long>(seed), crash.c_str());
  std::fflush(stdout);
  Current current(crash);
  Longest longest;
  run_valid(current, longest);
  std::vector<std::string> inputs = valid_inputs();
  for (const std::string& input : kept_inputs(program.filename().string().substr(std::strlen("fuzz_")))) {
    run(input, current, longest);
    inputs.push_back(input);
  }
  for (const std::string& input : hostile_inputs()) run(input, current, longest);
  Mutator mutator(seed, inputs);
  for (uint64_t i = 0; i < count; ++i) run(mutator.next(), current, longest);
  std::printf("%zu given inputs, %llu changed ones: %lld results, %lld errors; at most %.3f s and %zu kB of memory\n", inputs.size(),
              static_cast<unsigned long long>(count), static_cast<long long>(answers().results), static_cast<long long>(answers().errors),
              longest.seconds, longest.bytes / 1000);
  return 0;
}

}  // namespace
}  // namespace lawa::fuzz

int main(int argc, char** argv) {
  using namespace lawa::fuzz;
  if (argc == 3 && std::strcmp(argv[1], "--write") == 0) return write_inputs(argv[2]);
  for (int i = 1; i < argc; ++i) {
    const std::string input = std::filesystem::path(argv[i]).extension() == ".input" ? without_length(lawa::read_file(argv[i])) : lawa::read_file(argv[i]);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    std::printf("%s: %s\n", argv[i], answers().errors > 0 ? "an error" : "a result");
  }
  return argc > 1 ? 0 : drive(argv[0]);
}
