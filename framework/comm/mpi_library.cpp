#include "comm/mpi_library.hpp"

#include <array>

#include "comm/mpi.hpp"

namespace lawa {
namespace {

/// The value of one of the library's control variables of text; "" where it has none of that name.
std::string control_variable(const char* name) {
  int provided = 0, index = 0, length = 0;
  if (MPI_T_init_thread(MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) return "";
  std::string value;
  MPI_T_cvar_handle handle = MPI_T_CVAR_HANDLE_NULL;
  if (MPI_T_cvar_get_index(name, &index) == MPI_SUCCESS && MPI_T_cvar_handle_alloc(index, nullptr, &handle, &length) == MPI_SUCCESS) {
    value.resize(static_cast<size_t>(length) + 1);
    if (MPI_T_cvar_read(handle, value.data()) != MPI_SUCCESS) value.clear();
    MPI_T_cvar_handle_free(&handle);
  }
  MPI_T_finalize();
  return value.substr(0, value.find('\0'));
}

}  // namespace

std::string mpi_library_name() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;  // some count the zero at the end
  LAWA_MPI(MPI_Get_library_version(text.data(), &length));
  const std::string name = text.data();
  return name.substr(0, name.find_first_of("\n\r"));
}

MpiLibrary mpi_library() {
  int version = 0, subversion = 0;
  LAWA_MPI(MPI_Get_version(&version, &subversion));
  return {mpi_library_name(), concat(version, ".", subversion), control_variable("io")};
}

}  // namespace lawa
