#include "average/averager.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>

#include "average/group_of_files.hpp"
#include "average/pieces.hpp"
#include "average/tensors.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/error.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
using namespace detail;
namespace {

/// Where files that are sorted by step are cut into groups: their ends. What the files from there on need of checkpoints that were read
/// before is read again, so a group ends where that is at most a quarter of what it has written, and when it is worth its meetings.
std::vector<size_t> group_ends(const std::vector<PlannedFile>& files, int64_t bytes_of_one) {
  constexpr size_t enough_files = 32;
  constexpr int64_t enough_bytes = int64_t{1} << 23;
  std::vector<size_t> ends;
  size_t begin = 0;
  for (size_t end = 1; end < files.size(); ++end) {
    const int64_t step = files[end - 1].average.step();
    if (files[end].average.step() == step) continue;
    const auto count = end - begin;
    if (count < enough_files && static_cast<int64_t>(count) * bytes_of_one < enough_bytes) continue;
    std::set<int64_t> again;
    for (size_t i = end; i < files.size() && again.size() * 4 <= count; ++i)
      for (const Member& member : files[i].average.members)
        if (member.step <= step) again.insert(member.step);
    if (again.size() * 4 > count) continue;
    ends.push_back(end);
    begin = end;
  }
  ends.push_back(files.size());
  return ends;
}

/// Makes and commits one group; progress(elements that are done, of so many) is told how far it is; adds what it moved to the totals.
/// Returns the digests.
std::vector<std::string> write_group(const Communicator& comm, const AveragingOutput& options, std::span<const PlannedFile> files,
                                     const std::vector<Source>& sources, const FolderLocks& locks,
                                     const std::function<void(int64_t, int64_t)>& progress, AveragingTotals& totals) {
  const std::vector<Average> plan = averages_of(files);
  const AveragingOrder order = averaging_order(plan);
  const std::vector<Source> used = used_sources(plan, sources);
  const Range mine = owned_range(comm, used[0].table->size());
  const NumberFormat format = format_of_precision(options.precision);
  GroupOfFiles under_way(comm, files, sources, options);
  SourceReaders readers(used, options.allow_nonfinite);
  ReadBack read_back(under_way, options);
  int64_t written = 0;
  const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { readers.read(step, range, out); },
                          [&](size_t i, Range range, std::span<const float> values) {
                            under_way[i].write(range, values);
                            read_back.wrote(i, range);
                            written += std::ssize(values) * bytes_of(format);
                          },
                          beyond(format, *used[0].table, by_own_step(used))};
  const auto check_folders = [&](bool now) { std::ranges::for_each(locks, [&](const auto& lock) { lock->check(now); }); };
  try {
    comm.together([&] {
      for_each_piece(comm, mine, piece_elements(order, options.memory_bytes, block_size, most_elements), [&](Range range) {
        check_folders(false);
        average_piece(plan, order, range, rounding_to(format), io);
        progress(range.end - mine.begin, mine.size());
      });
      read_back.finish();
      under_way.close();
    });
    if (options.fsync || comm.nodes() > 1) under_way.make_durable();  // else one node can't see what another one wrote
    comm.together([&] { check_folders(true); });
    totals.bytes_read += comm.sum(readers.bytes());
    totals.bytes_written += comm.sum(written);
    return under_way.commit(options.fsync);
  } catch (const Error&) {  // which all ranks have met
    try {
      comm.together([&] { check_folders(true); });
    } catch (const Error&) {  // and this is why
      under_way.leave();
      throw;
    }
    throw;
  }
}

/// work(), whose errors reach all ranks: when one leaves this, every rank has removed its parts, and may let others into the folder.
template <class Work>
auto all_end_together(const Communicator& comm, Work&& work) {
  try {
    return work();
  } catch (const Error&) {
    comm.barrier();
    throw;
  }
}

}  // namespace

int64_t max_shard_bytes(const AveragingOutput& options) {
  return options.max_shard_size.empty() ? 0 : bytes_named(options.max_shard_size, "averaging.max_shard_size");
}

AveragingTotals write_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                               const std::vector<Source>& all_sources, Log& log, const FolderLocks& locks,
                               const std::function<void(size_t, const std::string&)>& committed) {
  AveragingTotals totals{.digests = std::vector<std::string>(files.size())};
  if (files.empty()) return totals;
  std::vector<Source> sources = used_sources(averages_of(files), all_sources);
  choose_tensors(comm, sources, format_of_precision(options.precision), log);
  std::vector<size_t> place(files.size());
  std::iota(place.begin(), place.end(), size_t{0});
  std::ranges::stable_sort(place, {}, [&](size_t i) { return files[i].average.step(); });
  std::vector<PlannedFile> sorted;
  for (const size_t i : place) sorted.push_back(files[i]);
  const std::vector<size_t> ends = group_ends(sorted, sources[0].table->size() * bytes_of(format_of_precision(options.precision)));
  const AveragingOrder order = averaging_order(averages_of(files));
  log.line(work_text(order, files.size(), piece_elements(order, options.memory_bytes, block_size, most_elements)));
  size_t begin = 0;
  for (size_t group = 0; group < ends.size(); ++group) {
    const auto some = std::span<const PlannedFile>(sorted).subspan(begin, ends[group] - begin);
    const auto progress = [&](int64_t done, int64_t all) {
      log.progress(static_cast<int64_t>(group) * all + done, std::ssize(ends) * all, "elements of this rank");
    };
    const auto digests = all_end_together(comm, [&] { return write_group(comm, options, some, sources, locks, progress, totals); });
    for (size_t i = 0; i < some.size(); ++i) {
      totals.digests[place[begin + i]] = digests[i];
      if (committed) committed(place[begin + i], digests[i]);
    }
    begin = ends[group];
  }
  return totals;
}

namespace {

/// The source that a description calls a member. Errors: there is none.
const Source& source_of_described(const Json& member, const std::vector<Source>& sources, const std::string& place) {
  const auto is_of_step = [&](const Source& source) { return source.own_step() == member.at("step"); };
  const auto is_it = [&](const Source& source) {  // an average that was made in the run names no digests
    return is_of_step(source) && member.value("digest", Json(source.digest)) == source.digest;
  };
  const auto found = std::ranges::find_if(sources, is_it), other = std::ranges::find_if(sources, is_of_step);
  LAWA_CHECK(other != sources.end(), place, ": is made from step ", member.at("step").dump(), ", which isn't among the sources");
  LAWA_CHECK(found != sources.end(), other->path.string(), ": isn't the file that ", place, " was made from (their digests differ)");
  return *found;
}

}  // namespace

std::string rebuilt_digest(const Communicator& comm, const AveragingOutput& options, const Json& description,
                           const std::vector<Source>& sources, const std::string& place, const ParameterTable* means) {
  PlannedFile file = described_average(description, place);
  std::vector<Source> used;  // in the members' order, whatever that of the sources is
  for (Member& member : file.average.members) {
    used.push_back(source_of_described(description.at("members")[used.size()], sources, place));
    member.step = used.back().step = std::ssize(used);
  }
  if (means) take_tensors(used, *means);
  const std::vector<Average> plan{file.average};
  const AveragingOrder order = averaging_order(plan);
  const NumberFormat format = format_of_precision(file.precision);
  std::vector<uint64_t> sums;
  comm.together([&] {
    SourceReaders readers(used, options.allow_nonfinite);
    const AveragingPiece io{[&](int64_t step, Range range, std::span<float> out) { readers.read(step, range, out); },
                            [&](size_t, Range, std::span<const float> values) { add_checksums(values, format, sums); },
                            beyond(format, *used[0].table, [&](int64_t) { return place; })};
    for_each_piece(comm, owned_range(comm, used[0].table->size()),
                   piece_elements(order, options.memory_bytes, block_size, most_elements),
                   [&](Range range) { average_piece(plan, order, range, rounding_to(format), io); });
  });
  return joint_digest(comm, sums);
}

ExistingAverage existing_average(const Communicator& comm, const fs::path& path) {
  PlacedFile file = open_on_root(comm, [&] { return format_of(path).open(path); });
  LAWA_CHECK(!file.average.is_null(), path.string(), ": isn't an average (it names no members)");
  ParameterTable& means = file.means.size() > 0 ? file.means : file.header.table;
  std::vector<uint64_t> sums;
  comm.together([&] {
    OpenFiles open(ByteFile::Mode::read);
    PlacedReader reader(open, path, file.places(file.digested()), means);
    for_each_piece(comm, owned_range(comm, means.size()), most_elements,
                   [&](Range piece) { std::ranges::copy(reader.checksums_of(piece), std::back_inserter(sums)); });
  });
  const std::string digest = joint_digest(comm, sums);
  LAWA_CHECK(digest == file.digest, path.string(), ": is damaged: its numbers have the digest ", digest, ", and it names ", file.digest);
  return {in_todays_words(file.average), digest, std::move(means)};
}

}  // namespace lawa
