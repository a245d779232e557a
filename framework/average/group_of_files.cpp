#include "average/group_of_files.hpp"

#include <algorithm>
#include <ranges>

#include "core/error.hpp"
#include "interchange/weights_format.hpp"

namespace lawa::detail {
namespace fs = std::filesystem;

namespace {

WantedAverage wanted_average(const PlannedFile& file, const std::vector<Source>& sources, const AveragingOutput& options) {
  const auto source_of = [&](int64_t step) -> const Source& { return *std::ranges::lower_bound(sources, step, {}, &Source::step); };
  const Source& newest = source_of(file.average.step());
  WantedAverage wanted{.newest = newest.path, .description = describe_average(file, sources), .numbers = format_of_precision(options.precision),
                       .table = *newest.table, .max_shard_bytes = max_shard_bytes(options)};
  if (options.missing == "drop") wanted.dropped.insert(newest.partial.begin(), newest.partial.end());
  if (options.missing == "keep")
    for (const Member& member : file.average.members | std::views::reverse)
      for (const std::string& tensor : source_of(member.step).partial)
        if (std::ranges::count(newest.partial, tensor) == 0) wanted.kept.emplace(tensor, source_of(member.step).path);
  return wanted;
}

}  // namespace

GroupOfFiles::GroupOfFiles(const Communicator& comm, std::span<const PlannedFile> files, const std::vector<Source>& sources,
                           const AveragingOutput& options)
    : comm_(comm), files_(files) {
  Json mine = Json::array();
  comm.together([&] {
    for (size_t i = 0; i < files.size(); ++i) {
      if (!is_mine(i)) continue;
      make_folder(files[i].path.parent_path());
      parts_.emplace_back(files[i].path);
      const PlacedFile& file = laid_out_[i] = format_of(files[i].path).lay_out(files[i].path, wanted_average(files[i], sources, options));
      mine.push_back({i, file.places("weights").to_json()});
    }
  });
  std::vector<Places> places(files.size());
  for (const std::string& text : comm.gather(mine.dump()))
    for (const Json& entry : Json::parse(text)) places[entry[0].get<size_t>()] = Places::from_json(entry[1]);
  for (size_t i = 0; i < files.size(); ++i) writers_.emplace_back(open_, part_of(files[i].path), std::move(places[i]));
}

void GroupOfFiles::make_durable() const {
  comm_.together([&] {
    for (auto i = static_cast<size_t>(comm_.rank_on_node()); i < files_.size(); i += static_cast<size_t>(comm_.ranks_on_node())) {
      comm_.end_if_another_failed();
      make_all_durable(part_of(files_[i].path));
    }
  });
}

std::vector<std::string> GroupOfFiles::commit(bool durably) {
  std::vector<std::vector<uint64_t>> checksums;  // of each file, on its owner: all ranks', in the order of the elements
  for (size_t i = 0; i < files_.size(); ++i) checksums.push_back(comm_.gather_on(owner(i), writers_[i].checksums()));
  Json mine = Json::array();
  comm_.together([&] {
    for (const auto& [i, file] : laid_out_) {
      format_of(file.path).seal(file, checksums[i], durably);
      mine.push_back({i, digest_of(checksums[i])});
    }
    parts_.clear();
  });
  std::vector<std::string> digests(files_.size());
  for (const std::string& text : comm_.gather(mine.dump()))
    for (const Json& entry : Json::parse(text)) digests[entry[0].get<size_t>()] = entry[1];
  return digests;
}

void ReadBack::wrote(size_t i, Range range) {
  if (from_disk_) files_[i].begin_writing_back(range);
  if (!verify_) return;
  written_.push({i, range});
  catch_up(from_disk_ ? lag : 0);
}

void ReadBack::catch_up(int64_t behind) {
  while (written_.elements > behind) {
    const Part part = written_.pop();
    if (from_disk_) files_[part.file].bring_back(part.range);
    on_the_way_.push(part);
  }
  while (on_the_way_.elements > behind) {
    const Part part = on_the_way_.pop();
    files_[part.file].verify(part.range);
  }
}

}  // namespace lawa::detail
