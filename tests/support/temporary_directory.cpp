#include "support/temporary_directory.hpp"

#include <mpi.h>
#include <stdlib.h>

#include <array>
#include <stdexcept>

namespace lawa::test {
namespace {
bool root() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank == 0;
}
}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::array<char, 4096> name{};
  if (root()) {
    const std::string pattern = (std::filesystem::temp_directory_path() / "lawa_test_XXXXXX").string();
    if (pattern.size() < name.size()) pattern.copy(name.data(), pattern.size());
    if (::mkdtemp(name.data()) == nullptr) name[0] = '\0';
  }
  MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, MPI_COMM_WORLD);
  path_ = name.data();
  if (path_.empty()) throw std::runtime_error("no temporary folder could be made");
}

TemporaryDirectory::~TemporaryDirectory() {
  MPI_Barrier(MPI_COMM_WORLD);  // nobody uses it any more
  std::error_code ignored;
  if (root()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace lawa::test
