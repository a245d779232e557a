#include "core/hash.hpp"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/byte_file.hpp"

namespace lawa {
namespace {
std::string to_hex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string hex;
  for (const unsigned char byte : canonical.digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}
}  // namespace

uint64_t hash64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Digest::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> xxh{XXH3_createState(), &XXH3_freeState};
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh.get()); }
Digest::~Digest() = default;
void Digest::add(std::span<const std::byte> bytes) { XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size()); }
void Digest::add(const std::string& text) {
  const uint64_t size = text.size();
  add(std::as_bytes(std::span(&size, 1)));
  add(std::as_bytes(std::span(text)));
}
std::string Digest::hex() const { return to_hex(XXH3_128bits_digest(state_->xxh.get())); }

std::string hash128(const std::string& text) { return to_hex(XXH3_128bits(text.data(), text.size())); }

void add_file_bytes(Digest& digest, const std::filesystem::path& path, uint64_t begin, uint64_t end) {
  const ByteFile file(path, ByteFile::Mode::read);
  std::vector<std::byte> piece(1 << 20);
  for (uint64_t at = begin; at < end;) {
    const auto some = std::span(piece).first(std::min<uint64_t>(piece.size(), end - at));
    file.read(static_cast<int64_t>(at), some);
    digest.add(some);
    at += some.size();
  }
}

}  // namespace lawa
