#include "checkpoint/parallel_file.hpp"

#include "checkpoint/shard_file.hpp"
#include "comm/mpi.hpp"

namespace lawa {
namespace {

using h5::Handle;

/// Hints for MPI-IO.
class Info {
 public:
  explicit Info(const std::vector<std::string>& hints) {
    LAWA_MPI(MPI_Info_create(&info_));
    for (const std::string& hint : hints) {
      const auto [name, value] = hint_of(hint, "checkpoint.hints");
      LAWA_MPI(MPI_Info_set(info_, name.c_str(), value.c_str()));
    }
  }
  ~Info() { MPI_Info_free(&info_); }
  Info(const Info&) = delete;
  Info& operator=(const Info&) = delete;
  operator MPI_Info() const { return info_; }

 private:
  MPI_Info info_ = MPI_INFO_NULL;
};

/// Elements [begin, end) of some ranges that lie one behind the other, as ranges again.
std::vector<Range> part_of_ranges(const std::vector<Range>& ranges, int64_t begin, int64_t end) {
  std::vector<Range> found;
  int64_t at = 0;
  for (const Range& range : ranges) {
    const Range some = intersect({begin, end}, {at, at + range.size()});
    if (!some.empty()) found.push_back({range.begin + some.begin - at, range.begin + some.end - at});
    at += range.size();
  }
  return found;
}

/// A dataset's space with some ranges selected.
Handle selection_of(hid_t dataset, const std::string& path, const std::vector<Range>& ranges) {
  Handle space(LAWA_H5(path, H5Dget_space(dataset)), H5Sclose);
  LAWA_H5(path, H5Sselect_none(space));
  for (const Range& range : ranges) {
    const auto begin = static_cast<hsize_t>(range.begin), count = static_cast<hsize_t>(range.size());
    LAWA_H5(path, H5Sselect_hyperslab(space, H5S_SELECT_OR, &begin, nullptr, &count, nullptr));
  }
  return space;
}

}  // namespace

ParallelFile::ParallelFile(const Communicator& comm, const std::filesystem::path& part, const std::vector<std::string>& hints)
    : comm_(comm), part_(part.string()) {
  h5::be_quiet();
  Handle access;
  comm.together([&] { ByteFile(part, ByteFile::Mode::update); });  // a rank that can't would leave the others waiting in MPI-IO
  comm.together([&] {
    access = h5::properties(H5P_FILE_ACCESS);
    LAWA_H5(part_, H5Pset_fapl_mpio(access, mpi_comm(comm), Info(hints)));
  });
  comm.together([&] { file_ = Handle(LAWA_H5(part_, H5Fopen(part_.c_str(), H5F_ACC_RDWR, access)), H5Fclose); });
}

void ParallelFile::write(const std::string& array, NumberFormat format, const std::vector<Range>& ranges, std::span<const std::byte> stored,
                         int64_t elements, int64_t most_elements) {
  const int64_t width = bytes_of(format), mine = std::ssize(stored) / width;
  Handle dataset, type, transfer;
  comm_.together([&] {
    dataset = Handle(LAWA_H5(part_, H5Dopen2(file_, ("/" + array).c_str(), H5P_DEFAULT)), H5Dclose);
    type = h5::number_type(format);
    transfer = h5::properties(H5P_DATASET_XFER);
    LAWA_H5(part_, H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE));
  });
  for (int64_t begin = 0; begin < elements; begin += most_elements) {
    const Range some = intersect({begin, begin + most_elements}, {0, mine});
    Handle in_file, in_memory;
    comm_.together([&] {
      in_file = selection_of(dataset, part_, part_of_ranges(ranges, some.begin, some.end));
      in_memory = h5::space(static_cast<hsize_t>(std::max<int64_t>(some.size(), 1)));
      if (some.empty()) LAWA_H5(part_, H5Sselect_none(in_memory));
    });
    const std::byte nothing{};
    const std::byte* const values = some.empty() ? &nothing : stored.data() + some.begin * width;
    comm_.together([&] { LAWA_H5(part_, H5Dwrite(dataset, type, in_memory, in_file, transfer, values)); });
  }
}

void ParallelFile::close() {
  comm_.together([&] { LAWA_H5(part_, file_.close()); });
}

}  // namespace lawa
