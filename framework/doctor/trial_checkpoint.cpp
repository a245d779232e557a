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

bool can_be_tried(const Facts& facts) { return facts.folder.error.empty() && facts.folder.unseen_by.empty(); }

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
  const bool can = comm.broadcast(static_cast<int64_t>(can_be_tried(facts))) != 0;
  if (!can) return;
  const int64_t size = comm.broadcast(trial_elements(facts.folder));
  FlatHeader header;
  header.kind = "weights";
  header.table.add({"trial", {size}, 0, false, 0, 0});
  header.table.end_group();
  const ShardLayout layout(size, comm.rank(), comm.size());
  const Vector<float> local = incompressible(layout.local_size());
  const auto error_of = [&](bool through_hdf5, double& seconds) -> std::string {
    try {
      const Stopwatch writing;
      write_shards(comm, file, header, layout, {{"weights", local}}, {.through_hdf5 = through_hdf5});
      seconds = comm.max(writing.seconds());
      read_shards(comm, file, "weights", header.table, layout, {{"weights", local}});
      return "";
    } catch (const Error& error) {  // the same on all ranks
      return error.what();
    }
  };
  Hdf5Facts& result = facts.hdf5;
  double seconds = 0, ignored_seconds = 0;
  result.trial_error = error_of(false, seconds);
  if (result.trial_error.empty()) {
    result.trial_bytes = static_cast<double>(size) * sizeof(float);
    result.trial_write_bytes_per_second = result.trial_bytes / seconds;
  }
  const bool parallel = comm.broadcast(static_cast<int64_t>(result.parallel)) != 0;
  if (result.trial_error.empty() && parallel) result.parallel_error = error_of(true, ignored_seconds);
  std::error_code ignored;
  if (comm.root()) std::filesystem::remove(file, ignored);
}

}  // namespace lawa
