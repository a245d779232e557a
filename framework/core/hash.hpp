// Digests: XXH3 (64 bits for a block, 128 bits for a file or a text). They find accidents, not forgeries.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace lawa {

/// XXH3_64bits of the bytes.
uint64_t hash64(std::span<const std::byte> bytes);

/// A running XXH3_128bits.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(std::span<const std::byte> bytes);
  void add(const std::string& text);  ///< the length first, so that ("ab", "c") differs from ("a", "bc")
  /// 32 hexadecimal digits, as `xxh128sum` prints them.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 32 hexadecimal digits of XXH3_128bits(text).
std::string hash128(const std::string& text);

/// Adds bytes [begin, end) of a file, read in pieces. Errors: ByteFile's; the file is shorter.
void add_file_bytes(Digest& digest, const std::filesystem::path& path, uint64_t begin, uint64_t end);

}  // namespace lawa
