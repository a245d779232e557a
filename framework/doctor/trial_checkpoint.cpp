#include "doctor/trial_checkpoint.hpp"

#include <algorithm>

#include "checkpoint/shard_file.hpp"
#include "core/files.hpp"
#include "core/philox.hpp"
#include "core/timer.hpp"
#include "doctor/folder.hpp"

namespace lawa {
namespace {

/// About a second's worth of writing, at most 64 MB, and little of what is free.
int64_t trial_elements(const FolderFacts& folder) {
  const double bytes = std::min({64e6, folder.write_bytes_per_second, 0.1 * static_cast<double>(folder.free_bytes)});
  return std::max<int64_t>(block_size, static_cast<int64_t>(bytes) / static_cast<int64_t>(sizeof(float)));
}

bool can_be_tried(const Facts& facts, const std::filesystem::path& file) {
  const bool everywhere = facts.folder.error.empty() && facts.folder.unseen_by.empty();
  const bool overflows = facts.mpi.io == "OMPIO" && facts.mpi.ranks > 1 && std::ssize(part_of(file).native()) > ompio_path_bytes;
  return everywhere && facts.hdf5.parallel && !overflows;
}

/// n numbers; a file system may compress zeros.
Vector<float> incompressible(int64_t n) {
  const Vector<float> values = zeros<float>("lawa::doctor.trial", n);
  const HostVector<float> host = on_host(values);
  for (int64_t i = 0; i < n; ++i) host(i) = static_cast<float>(random_bits(1, RandomStream::test, static_cast<uint64_t>(i)) >> 40);
  copy(values, host);
  return values;
}

}  // namespace

void try_checkpoint(const Communicator& comm, Facts& facts) {
  const auto file = unused_name(comm, facts.folder.path).string() + ".weights.h5";
  const bool can = comm.broadcast(static_cast<int64_t>(can_be_tried(facts, file))) != 0;
  if (!can) return;
  const int64_t size = comm.broadcast(trial_elements(facts.folder));
  FlatHeader header;
  header.kind = "weights";
  header.table.add({"trial", {size}, 0, false, 0, 0});
  header.table.end_group();
  const ShardLayout layout(size, comm.rank(), comm.size());
  const Vector<float> local = incompressible(layout.local_size());
  Hdf5Facts& result = facts.hdf5;
  try {
    const Stopwatch writing;
    write_shards(comm, file, header, layout, {{"weights", local}}, {.through_hdf5 = true});
    const double seconds = comm.max(writing.seconds());
    read_shards(comm, file, "weights", header.table, layout, {{"weights", local}});
    result.trial_bytes = static_cast<double>(size) * sizeof(float);
    result.trial_write_bytes_per_second = result.trial_bytes / seconds;
  } catch (const Error& error) {  // the same on all ranks
    result.trial_error = error.what();
  }
  std::error_code ignored;
  if (comm.root()) std::filesystem::remove(file, ignored);
}

}  // namespace lawa
