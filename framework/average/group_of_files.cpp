#include "average/group_of_files.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "interchange/weights_format.hpp"

namespace lawa::detail {
namespace fs = std::filesystem;

GroupOfFiles::GroupOfFiles(const Communicator& comm, std::span<const PlannedFile> files, const std::vector<Source>& sources,
                           NumberFormat format)
    : comm_(comm), files_(files) {
  Json mine = Json::array();
  comm.together([&] {
    for (size_t i = 0; i < files.size(); ++i) {
      if (!is_mine(i)) continue;
      const fs::path& newest = std::ranges::lower_bound(sources, files[i].average.step(), {}, &Source::step)->path;
      make_folder(files[i].path.parent_path());
      parts_.emplace_back(files[i].path);
      const PlacedFile& file = laid_out_[i] = format_of(files[i].path).lay_out(files[i].path, newest, describe_average(files[i], sources), format);
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
      lawa::make_durable(part_of(files_[i].path));
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
