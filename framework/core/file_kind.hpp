// What a file is, by how it begins: for the message where another kind was wanted.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace lawa {

struct FileKind {
  enum class Group { unknown, array, text, rows, model, packed, pointer };
  Group group = Group::unknown;
  std::string name{};    ///< "a NumPy array (.npy)"; "" where nothing is known of such a beginning
  std::string remedy{};  ///< what makes another file of it, or ""
};

inline constexpr size_t file_kind_bytes = size_t{1} << 14;  ///< of its beginning that are looked at

/// Of a file of `size` bytes that begins so.
FileKind file_kind(std::span<const std::byte> beginning, int64_t size);
/// Of a file. Errors: ByteFile's.
FileKind file_kind(const std::filesystem::path& path);

}  // namespace lawa
