#include "core/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/error.hpp"

namespace lawa {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  LAWA_CHECK(!fs::is_directory(path), path.string(), ": is a folder, not a file");
  std::ifstream file(path, std::ios::binary);
  LAWA_CHECK(file, path.string(), ": can't be opened: ", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  LAWA_CHECK(!file.bad(), path.string(), ": can't be read");
  return text.str();
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  LAWA_CHECK(!error && fs::is_directory(path), path.string(), ": can't be made: ", error ? error.message() : "is a file");
}

void make_durable(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  LAWA_CHECK(descriptor >= 0, path.string(), ": can't be opened: ", std::strerror(errno));
  const int status = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  LAWA_CHECK(status == 0, path.string(), ": can't be synchronised: ", std::strerror(error));
}

fs::path part_of(const fs::path& path) { return path.string() + ".part"; }

PartGuard::~PartGuard() {
  std::error_code ignored;
  if (mine_) fs::remove(part_of(path_), ignored);
}

void commit_file(const fs::path& path, bool durably) {
  const PartGuard part(path);
  if (durably) make_durable(part_of(path));
  std::error_code error;
  fs::rename(part_of(path), path, error);
  LAWA_CHECK(!error, path.string(), ": can't be renamed from its .part: ", error.message());
  if (durably) make_durable(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void write_file(const fs::path& path, const std::string& text, bool durably) {
  const PartGuard part(path);
  {
    std::ofstream file(part_of(path), std::ios::binary | std::ios::trunc);
    LAWA_CHECK(file, part_of(path).string(), ": can't be created: ", std::strerror(errno));
    file << text;
    file.flush();
    LAWA_CHECK(file, part_of(path).string(), ": can't be written: ", std::strerror(errno));
  }
  commit_file(path, durably);
}

}  // namespace lawa
