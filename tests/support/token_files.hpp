// Token files of given tokens.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace lawa::test {

template <class T>
void write_bytes(const std::filesystem::path& path, const std::vector<T>& values, std::ios::openmode mode = std::ios::trunc) {
  std::ofstream file(path, std::ios::binary | mode);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

/// Raw uint16 tokens. Returns the path as configs hold it.
inline std::string write_tokens(const std::filesystem::path& path, const std::vector<uint16_t>& tokens) {
  write_bytes(path, tokens);
  return path.string();
}

/// A shard as llm.c writes it: 256 int32 of header, then the tokens. `count` is what the header says.
template <class T = uint16_t>
std::string write_token_shard(const std::filesystem::path& path, const std::vector<T>& tokens, int32_t count) {
  static_assert(sizeof(T) == 2 || sizeof(T) == 4);
  std::vector<int32_t> header(256);
  header[0] = sizeof(T) == 2 ? 20240520 : 20240801;
  header[1] = sizeof(T) == 2 ? 1 : 7;
  header[2] = count;
  write_bytes(path, header);
  write_bytes(path, tokens, std::ios::app);
  return path.string();
}

}  // namespace lawa::test
