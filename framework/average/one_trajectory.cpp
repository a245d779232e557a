#include "average/one_trajectory.hpp"

#include <algorithm>
#include <map>

#include "checkpoint/run_directory.hpp"
#include "core/config_source.hpp"
#include "core/error.hpp"

namespace lawa {
namespace {

constexpr const char* remedy = "; averaging.any_run=true averages checkpoints of several runs";

/// A run of which there are files.
struct Run {
  const PlacedFile* first;         ///< of its files, by step
  std::string start_digest{};      ///< of the checkpoint that it goes on from; "" where it doesn't
  std::string start_path{};        ///< that the run's config names
  const PlacedFile* start = nullptr;  ///< that checkpoint, among another run's files
};
using Runs = std::map<std::string, Run>;  // by trajectory hash

/// Where a run began, as its files say it.
void read_start(Run& run) {
  const FlatHeader& header = run.first->header;
  ConfigSource config;
  config.add_toml(header.config, run.first->path.string() + ":/config");
  const ConfigSource::Entry* start = config.find("start.checkpoint");
  const auto* path = start == nullptr ? nullptr : std::get_if<std::string>(&start->value.data);
  if (path == nullptr || path->empty()) return;
  run.start_digest = text_in(header.provenance, "start_digest");
  run.start_path = *path;
}

Runs runs_of(const std::vector<PlacedFile>& files) {
  Runs runs;
  for (const PlacedFile& file : files) {
    const auto run = runs.try_emplace(file.header.trajectory_hash, Run{&file}).first;
    if (file.header.step < run->second.first->header.step) run->second.first = &file;
  }
  for (auto& [hash, run] : runs) {
    read_start(run);
    for (const PlacedFile& file : files)
      if (!run.start_digest.empty() && file.digest == run.start_digest && file.header.trajectory_hash != hash) run.start = &file;
  }
  return runs;
}

/// The run that no other one branches off from. Errors: there are several.
const Run& newest_of(const Runs& runs, const std::vector<PlacedFile>& files) {
  const auto is_parent = [&](const std::string& hash) {
    return std::ranges::any_of(runs, [&](const auto& run) { return run.second.start && run.second.start->header.trajectory_hash == hash; });
  };
  std::vector<const Run*> ends;
  for (const auto& [hash, run] : runs)
    if (!is_parent(hash)) ends.push_back(&run);
  const auto starts_elsewhere = [](const auto& run) { return !run.second.start_digest.empty() && !run.second.start; };
  const auto lost = std::ranges::find_if(runs, starts_elsewhere);
  if (ends.size() != 1 && lost != runs.end())
    fail(__FILE__, __LINE__, lost->second.first->path.string(), ": is of another run, which began at ", lost->second.start_path,
         ": name that checkpoint too (it isn't among the files)", remedy);
  if (ends.size() == 2 && ends[0]->start && ends[1]->start)
    fail(__FILE__, __LINE__, ends[1]->first->path.string(), ": is of another run than ", ends[0]->first->path.string(),
         ": both are branches, which began at ", ends[0]->start->path.string(), " and ", ends[1]->start->path.string(), remedy);
  const auto other = std::ranges::find_if(files, [&](const PlacedFile& file) { return file.header.trajectory_hash != files[0].header.trajectory_hash; });
  LAWA_CHECK(ends.size() == 1, other->path.string(), ": is of another run than ", files[0].path.string(), " (their trajectory hashes differ)", remedy);
  return *ends[0];
}

}  // namespace

void keep_one_trajectory(std::vector<PlacedFile>& files, const std::function<void(const std::string&)>& say) {
  const auto is_first_run = [&](const PlacedFile& file) { return file.header.trajectory_hash == files[0].header.trajectory_hash; };
  if (std::ranges::all_of(files, is_first_run)) return;
  const Runs runs = runs_of(files);
  std::map<std::string, int64_t> ends;  // of the runs that the newest one comes from: the last step on its way
  for (const Run* run = &newest_of(runs, files); run->start; run = &runs.at(run->start->header.trajectory_hash))
    ends[run->start->header.trajectory_hash] = run->start->header.step;
  const auto is_beyond = [&](const PlacedFile& file) {
    const auto end = ends.find(file.header.trajectory_hash);
    return end != ends.end() && file.header.step > end->second;
  };
  for (const auto& [hash, step] : ends) {
    const auto beyond = std::ranges::count_if(files, [&](const PlacedFile& f) { return f.header.trajectory_hash == hash && f.header.step > step; });
    if (beyond > 0 && say)
      say(concat(runs.at(hash).first->path.parent_path().string(), ": ", beyond, beyond == 1 ? " checkpoint" : " checkpoints", " after step ", step,
                 beyond == 1 ? ", where the branch begins, is" : ", where the branch begins, are", " left out"));
  }
  std::erase_if(files, is_beyond);
}

}  // namespace lawa
