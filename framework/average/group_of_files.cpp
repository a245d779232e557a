#include "average/group_of_files.hpp"

#include <algorithm>
#include <cstring>
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
    for (auto i = static_cast<size_t>(comm_.rank_on_node()); i < files_.size(); i += static_cast<size_t>(comm_.ranks_on_node()))
      make_all_durable(part_of(files_[i].path));
  });
}

/// On its owner: all ranks', in the order of the ranks, which is that of the elements.
std::vector<uint64_t> GroupOfFiles::gathered_checksums(size_t i) const {
  const std::vector<uint64_t> mine = writers_[i].checksums();
  std::vector<uint64_t> all;
  for (const std::string& part : comm_.gather_on(owner(i), {reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(uint64_t)})) {
    all.resize(all.size() + part.size() / sizeof(uint64_t));
    std::memcpy(all.data() + all.size() - part.size() / sizeof(uint64_t), part.data(), part.size());
  }
  return all;
}

std::vector<std::string> GroupOfFiles::commit(bool durably) {
  std::vector<std::vector<uint64_t>> checksums;
  for (size_t i = 0; i < files_.size(); ++i) checksums.push_back(gathered_checksums(i));
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

void ReadBack::Queue::push(Part part) {
  parts.push_back(part);
  elements += part.range.size();
}
ReadBack::Part ReadBack::Queue::pop() {
  const Part part = parts.front();
  parts.pop_front();
  elements -= part.range.size();
  return part;
}

void ReadBack::wrote(size_t i, Range range) {
  if (from_disk_) files_[i].begin_writing_back(range);
  if (!verify_) return;
  if (from_disk_) written_.push({i, range});
  else files_[i].verify(range);
  while (written_.elements > lag) bring_back();
  while (on_the_way_.elements > lag) verify();
}
void ReadBack::finish() {
  while (!written_.parts.empty()) bring_back();
  while (!on_the_way_.parts.empty()) verify();
}
void ReadBack::bring_back() {
  const Part part = written_.pop();
  files_[part.file].bring_back(part.range);
  on_the_way_.push(part);
}
void ReadBack::verify() {
  const Part part = on_the_way_.pop();
  files_[part.file].verify(part.range);
}

}  // namespace lawa::detail
