// What the targets share. A target is one file that gives its input to one of the project's readers, as a hostile file would. Any input
// has an answer: a result, or a lawa::Error that people can read. libFuzzer drives the same files (preset `fuzz`); elsewhere main.cpp does.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

/// What a target is: the input is `size` bytes. Always 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace lawa::fuzz {

/// Of each target: what the project's own writers make, which is read without an error; mutations begin there.
std::vector<std::string> valid_inputs();
/// Of each target: inputs that are too large or too regular for corpus/, which keeps what once failed.
std::vector<std::string> hostile_inputs();

/// How the inputs so far have ended.
struct Answers {
  int64_t results = 0, errors = 0;
};
Answers answers();

/// Runs read(), and ends the process with a word about it where that throws anything but a lawa::Error whose message is one line of
/// UTF-8, and not longer than 2,000 bytes. Returns 0.
int expect_answer(const std::function<void()>& read);

/// A folder of this process, in memory where the system has room for one there, and gone at the end of the process.
const std::filesystem::path& folder();
/// Writes a file there, in place of an older one. Returns its path.
std::filesystem::path put(const std::filesystem::path& name, const std::string& text);

inline std::string text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }
/// An input that stands for `count` files is their texts with this line between them; those that aren't there are empty.
inline constexpr const char* between_files = "\n====\n";
std::vector<std::string> files_of(const std::string& input, size_t count);

/// `text` so often.
std::string repeated(const std::string& text, size_t count);
/// A JSON list in a list in a list, …
inline std::string nested_lists(size_t levels) { return repeated("[", levels) + repeated("]", levels); }

/// MPI and Kokkos, of one rank, from its construction to the end of the process: for the readers that talk to other ranks.
void start_ranks();

}  // namespace lawa::fuzz
