#include "average/average_files.hpp"

#include <algorithm>
#include <set>

#include "checkpoint/commit_record.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// Steps between the members; 0 where they aren't the same everywhere.
int64_t even_spacing(const std::vector<Member>& members) {
  if (members.size() < 2) return 0;
  const int64_t spacing = members[1].step - members[0].step;
  const auto uneven = [&](const Member& a, const Member& b) { return b.step - a.step != spacing; };
  return std::ranges::adjacent_find(members, uneven) == members.end() ? spacing : 0;
}

const Source& source_of(const Member& member, const std::vector<Source>& sources) {
  return *std::ranges::lower_bound(sources, member.step, {}, &Source::step);
}

}  // namespace

std::vector<Average> averages_of(std::span<const PlannedFile> files) {
  std::vector<Average> plan;
  for (const PlannedFile& file : files) plan.push_back(file.average);
  return plan;
}

Json describe_average(const PlannedFile& file, const std::vector<Source>& sources) {
  Json members = Json::array();
  for (const Member& member : file.average.members) {
    const Source& source = source_of(member, sources);
    members.push_back({{"step", source.own_step()}, {"weight", member.weight}, {"digest", source.digest}});
  }
  AverageSpec spec = file.average.spec;
  if (spec.stride == 0 && sources[0].sharing == 1) spec.stride = even_spacing(file.average.members);
  Json description = describe(spec, std::ssize(file.average.members));
  description["members"] = members;
  if (file.precision != "fp32") description["precision"] = file.precision;
  const bool some_lack = std::ranges::any_of(sources, [](const Source& source) { return !source.partial.empty(); });
  if (some_lack && file.missing != "refuse") description["missing"] = file.missing;
  return description;
}

PlannedFile described_average(const Json& description, const std::string& place) {
  try {
    PlannedFile file{.average = {}, .path = place, .precision = description.value("precision", "fp32")};
    file.average.spec.scheme = scheme_of(description.at("scheme"), place);
    for (const Json& member : description.at("members")) file.average.members.push_back({member.at("step"), member.at("weight")});
    LAWA_CHECK(!file.average.members.empty() && std::ranges::is_sorted(file.average.members, {}, &Member::step), place, ": says no members");
    return file;
  } catch (const Json::exception&) {
    fail(__FILE__, __LINE__, place, ": isn't an average (its provenance names no members)");
  }
}

std::vector<PlannedFile> planned_files(const AveragingConfig& config, const std::vector<Average>& plan,
                                       const std::vector<Source>& sources, const fs::path& destination,
                                       const std::string& precision, const std::string& missing) {
  const bool grid = config.window.size() > 1 || config.stride.size() > 1;
  std::vector<PlannedFile> files;
  for (const Average& average : plan) {
    const AverageSpec place{.scheme = average.spec.scheme, .window = average.spec.window, .stride = average.spec.stride};
    const fs::path folder = grid ? destination / lawa::folder(place) : destination;
    const int64_t step = source_of(average.members.back(), sources).own_step();
    files.push_back({average, folder / (checkpoint_name(step) + format_of(sources.back().path).ending), precision, missing});
  }
  return files;
}

namespace {

/// Of two descriptions, what decides: a file that was written before may say less of the rest.
bool is_same_average(const Json& a, const Json& b) {
  const auto same = [&](const char* key) { return a.value(key, Json()) == b.value(key, Json()); };
  return a.is_object() && std::ranges::all_of(std::vector{"scheme", "window", "stride", "members", "precision", "missing"}, same);
}

}  // namespace

std::vector<PlannedFile> missing_files(const std::vector<PlannedFile>& planned, const std::vector<Source>& sources, bool skip_existing) {
  std::vector<PlannedFile> missing;
  for (const PlannedFile& file : planned) {
    const std::string name = file.path.string();
    LAWA_CHECK(!fs::exists(file.path) || skip_existing, name, ": exists; choose another destination, or averaging.skip_existing=true");
    const WeightsFormat& format = format_of(file.path);
    if (!format.is_committed(file.path)) {  // a file that is there, but isn't committed: its writer was killed
      missing.push_back(file);
      continue;
    }
    const Json found = in_todays_words(format.open(file.path).average);
    LAWA_CHECK(is_same_average(found, describe_average(file, sources)), name, ": exists and is another average (",
               found.dump().substr(0, 60), "…)");
  }
  return missing;
}

NumberFormat format_of_precision(const std::string& precision) {
  if (precision == "fp16") return NumberFormat::float16;
  return precision == "bf16" ? NumberFormat::bfloat16 : NumberFormat::float32;
}

namespace {

/// The destination and what lies below it.
std::set<fs::path> folders_of(const std::vector<PlannedFile>& files, const fs::path& destination) {
  std::set<fs::path> folders{(destination / "").parent_path()};  // "new/" is "new"
  for (const PlannedFile& file : files) folders.insert(file.path.parent_path());
  return folders;
}

/// "x.h5" lies in ".".
fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : "."; }

bool is_run(const fs::path& folder) { return fs::exists(folder / "provenance.json") || fs::exists(folder / "run.lock"); }

}  // namespace

void check_destination(const std::vector<PlannedFile>& files, const fs::path& destination, const std::vector<Source>& sources,
                       const std::vector<std::string>& places) {
  std::set<fs::path> taken(places.begin(), places.end());
  for (const Source& source : sources) taken.insert(folder_of(source.path));
  for (const fs::path& folder : folders_of(files, destination)) {
    std::error_code unknown;
    if (!fs::is_directory(folder, unknown)) continue;  // to be made, or an error of the lock
    const auto own = std::ranges::find_if(taken, [&](const fs::path& other) { return fs::equivalent(folder, other, unknown); });
    LAWA_CHECK(own == taken.end(), "destination: ", folder.string(),
               " is a folder of files that are averaged, and averages there would be taken for checkpoints; choose another one");
    const fs::path path = fs::canonical(folder);
    LAWA_CHECK(!is_run(path) && !(path.filename() == "checkpoints" && is_run(path.parent_path())), "destination: ", folder.string(),
               " is a run's own folder, and averages there would be taken for its checkpoints; choose another one");
  }
}

FolderLocks lock_folders(const std::vector<PlannedFile>& files, const fs::path& destination, const LockPatience& patience) {
  const std::set<fs::path> folders = folders_of(files, destination);
  FolderLocks locks;
  for (const fs::path& folder : folders) locks.push_back(lock_to_write(folder, patience));
  return locks;
}

}  // namespace lawa
