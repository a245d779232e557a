#include "core/file_system_probe.hpp"

#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "core/byte_file.hpp"
#include "core/error.hpp"
#include "core/philox.hpp"
#include "core/timer.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr int64_t call_bytes = int64_t{4} << 20;                                      // of one read or write
constexpr int64_t first_piece = int64_t{1} << 20, smallest_probe = int64_t{1} << 16;  // less says nothing

/// Open, and without a name.
ByteFile nameless_file(const fs::path& folder) {
  std::random_device random;
  const fs::path path = folder / concat(".lawa_probe_", std::hex, random(), random());
  ByteFile file(path, ByteFile::Mode::create);
  fs::remove(path);
  return file;
}

std::vector<uint64_t> incompressible(int64_t bytes) {
  std::vector<uint64_t> content(static_cast<size_t>(bytes) / sizeof(uint64_t));
  for (size_t i = 0; i < content.size(); ++i) content[i] = random_bits(1, RandomStream::test, i);
  return content;
}

/// f(offset, bytes) for calls that cover [begin, end), until it returns false.
template <class F>
void for_each_call(int64_t begin, int64_t end, F&& f) {
  for (; begin < end; begin += call_bytes)
    if (!f(begin, std::min(call_bytes, end - begin))) return;
}

}  // namespace

fs::path nearest_folder(const fs::path& path) {
  std::error_code error;
  fs::path folder = fs::absolute(path, error);
  while (!error && !fs::exists(folder, error) && folder != folder.root_path()) folder = folder.parent_path();
  LAWA_CHECK(!error && fs::is_directory(folder, error), path.string(), ": can't be a folder: ",
             error ? error.message() : folder.string() + " is a file");
  return folder;
}

int64_t free_bytes(const fs::path& path) {
  std::error_code error;
  const auto space = fs::space(nearest_folder(path), error);
  LAWA_CHECK(!error, path.string(), ": the file system doesn't say what is free: ", error.message());
  return static_cast<int64_t>(std::min<uintmax_t>(space.available, INT64_MAX));
}

FileSystemRates probe_file_system(const fs::path& folder, const ProbeLimits& limits) {
  const int64_t free = free_bytes(folder), most = std::min(limits.bytes, free / 2);
  LAWA_CHECK(most >= smallest_probe, folder.string(), ": is full (", free, " bytes are free): nothing can be written to measure it");
  const ByteFile file = nameless_file(folder);
  std::vector<uint64_t> content = incompressible(call_bytes);
  const auto some = [&](int64_t bytes) { return std::as_writable_bytes(std::span(content)).first(static_cast<size_t>(bytes)); };

  FileSystemRates rates;
  const Stopwatch all;
  double last = 0;  // seconds of a piece: the next one, twice as large, must fit
  const auto fits = [&](int64_t piece) { return rates.bytes + piece <= most && all.seconds() + 2 * last <= limits.seconds / 2; };
  for (int64_t piece = std::min(first_piece, most); fits(piece); piece *= 2) {
    const Stopwatch clock;
    for_each_call(rates.bytes, rates.bytes + piece, [&](int64_t offset, int64_t bytes) {
      file.write(offset, some(bytes));
      return true;
    });
    file.make_durable();
    last = clock.seconds();
    rates.bytes += piece;
    rates.write_bytes_per_second = static_cast<double>(piece) / last;
  }

  const Stopwatch clock;
  int64_t read = 0;
  file.bring_back(0, rates.bytes);
  for_each_call(0, rates.bytes, [&](int64_t offset, int64_t bytes) {
    file.read(offset, some(bytes));
    read += bytes;
    return clock.seconds() < limits.seconds / 2;
  });
  rates.read_bytes_per_second = static_cast<double>(read) / clock.seconds();
  return rates;
}

}  // namespace lawa
