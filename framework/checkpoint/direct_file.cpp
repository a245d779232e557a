#include "checkpoint/direct_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "checkpoint/flat_file_layout.hpp"
#include "params/shard_layout.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// A file descriptor that is closed at the end of its scope.
struct Descriptor {
  int number;
  Descriptor(const fs::path& file, int flags) : number(::open(file.c_str(), flags | O_CLOEXEC)) {
    LAWA_CHECK(number >= 0, file.string(), ": can't be opened: ", std::strerror(errno));
  }
  ~Descriptor() { ::close(number); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

void write_at(const Descriptor& descriptor, const fs::path& file, std::span<const std::byte> bytes, int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor.number, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    LAWA_CHECK(written > 0, file.string(), ": can't be written: ", std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
}

}  // namespace

WeightsPlace lay_out_weights(const fs::path& file, const FlatHeader& header) {
  h5::be_quiet();
  detail::lay_out(file, header, {"weights"});
  const h5::Handle opened = h5::open_for_reading(file.string());
  return {detail::bytes_of(opened, file.string(), "/weights").begin,
          detail::bytes_of(opened, file.string(), detail::checksums_name("weights")).begin};
}

void write_weights_part(const fs::path& file, const WeightsPlace& place, Range range, std::span<const float> values) {
  LAWA_CHECK(range.begin % block_size == 0 && std::ssize(values) == range.size(), "elements from ", range.begin, " are no whole blocks");
  const Descriptor descriptor(file, O_WRONLY);
  const auto sums = block_checksums(values);
  write_at(descriptor, file, std::as_bytes(values), place.values + range.begin * static_cast<int64_t>(sizeof(float)));
  write_at(descriptor, file, std::as_bytes(std::span(sums)),
           place.checksums + range.begin / block_size * static_cast<int64_t>(sizeof(uint64_t)));
}

void forget_cached(const fs::path& file) {
  const Descriptor descriptor(file, O_RDONLY);
  ::posix_fadvise(descriptor.number, 0, 0, POSIX_FADV_DONTNEED);  // advice: if it isn't taken, nothing is lost
}

}  // namespace lawa
