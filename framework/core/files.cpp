#include "core/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/byte_file.hpp"
#include "core/error.hpp"

namespace lawa {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  const ByteFile file(path, ByteFile::Mode::read);
  std::string text(static_cast<size_t>(file.size()) + 4096, '\0');  // the system's own files say that they have no bytes
  size_t size = 0;
  while (const size_t count = file.read_some(static_cast<int64_t>(size), std::as_writable_bytes(std::span(text).subspan(size)))) {
    size += count;
    if (size == text.size()) text.resize(2 * size);
  }
  text.resize(size);
  return text;
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  LAWA_CHECK(!error && fs::is_directory(path), path.string(), ": can't be made: ", error ? error.message() : "is a file");
}

void check_is_utf8(const fs::path& path) {
  LAWA_CHECK(is_utf8(path.string()), path.string(), ": isn't UTF-8, which configs and results are written in; give it another name");
}

void check_fits(const fs::path& folder, const fs::path& below) {
  const auto fits = [](const fs::path& path) {
    struct stat ignored {};
    return ::lstat(path.c_str(), &ignored) == 0 || errno != ENAMETOOLONG;
  };
  LAWA_CHECK(fits(folder / below), folder.string(), ": is too long a name for what goes below it, ", below.string());
  for (const fs::path& part : below)
    LAWA_CHECK(fits(folder / part), folder.string(), ": can't hold ", part.string(), ": ", std::strerror(ENAMETOOLONG));
}

void make_durable(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  LAWA_CHECK_SYSTEM(descriptor >= 0, path.string(), ": can't be opened");
  const int status = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (status != 0) fail_by_system(__FILE__, __LINE__, error, path.string(), ": can't be synchronised");
}

void make_all_durable(const fs::path& path) {
  if (fs::is_directory(path))
    for (const auto& entry : fs::directory_iterator(path)) make_all_durable(entry.path());
  make_durable(path);
}

fs::path part_of(const fs::path& path) { return path.string() + ".part"; }

PartGuard::~PartGuard() {
  std::error_code ignored;
  if (mine_) fs::remove_all(part_of(path_), ignored);
}

void commit_file(const fs::path& path, bool durably) {
  const PartGuard part(path);
  if (durably) make_all_durable(part_of(path));
  std::error_code error;
  fs::rename(part_of(path), path, error);
  LAWA_CHECK(!error, path.string(), ": can't be renamed from its .part: ", error.message());
  if (durably) make_durable(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void write_file(const fs::path& path, const std::string& text, bool durably) {
  const PartGuard part(path);
  ByteFile file(part_of(path), ByteFile::Mode::create);
  file.write(0, std::as_bytes(std::span(text)));
  file.close();
  commit_file(path, durably);
}

void append_to_file(const fs::path& path, const std::string& text) {
  ByteFile file(path, ByteFile::Mode::append);
  file.write(0, std::as_bytes(std::span(text)));
  file.close();
}

}  // namespace lawa
