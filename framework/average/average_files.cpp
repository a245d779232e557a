// Sources, names and descriptions of averages.
#include <algorithm>

#include "average/averaging_job.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

std::string describe_sources(const std::vector<fs::path>& files) {
  Json list = Json::array();
  const auto tensors = std::ranges::count_if(files, detail::is_safetensors);
  if (tensors > 0) {
    LAWA_CHECK(tensors == std::ssize(files), "source: ", tensors, " of the ", files.size(), " files are safetensors, and others aren't");
    for (const Source& source : detail::open_tensors(files))
      list.push_back({{"step", source.step}, {"path", source.path.string()}, {"digest", source.digest}, {"trajectory_hash", ""}});
    return list.dump();
  }
  ParameterTable first_table;
  for (const fs::path& file : files) {
    verify_by_record(file);
    const FlatFileReader reader(file, "weights");
    const FlatHeader& header = reader.header();
    if (list.empty()) first_table = header.table;
    LAWA_CHECK(header.table.same_layout(first_table), file.string(), ": is of another model than ", files[0].string());
    LAWA_CHECK(list.empty() || list[0]["trajectory_hash"] == header.trajectory_hash, file.string(), ": is of another run than ",
               files[0].string(), " (their trajectory hashes differ)");
    list.push_back({{"step", header.step}, {"path", file.string()}, {"digest", reader.digest("weights")},
                    {"trajectory_hash", header.trajectory_hash}});
  }
  return list.dump();
}

}  // namespace

std::vector<Source> open_sources(const Communicator& comm, const std::vector<fs::path>& files) {
  std::string text;
  comm.on_root([&] { text = describe_sources(files); });
  std::vector<Source> sources;
  for (const Json& s : Json::parse(comm.broadcast(text)))
    sources.push_back({s.at("step"), s.at("path").get<std::string>(), s.at("digest"), s.at("trajectory_hash")});
  std::ranges::sort(sources, {}, &Source::step);
  return sources;
}

namespace {

/// Steps between the members; 0 where they aren't the same everywhere.
int64_t even_spacing(const std::vector<Member>& members) {
  if (members.size() < 2) return 0;
  const int64_t spacing = members[1].step - members[0].step;
  const auto uneven = [&](const Member& a, const Member& b) { return b.step - a.step != spacing; };
  return std::ranges::adjacent_find(members, uneven) == members.end() ? spacing : 0;
}

}  // namespace

Json describe_average(const PlannedFile& file, const std::vector<Source>& sources) {
  Json members = Json::array();
  for (const Member& member : file.average.members) {
    const Source& source = *std::ranges::lower_bound(sources, member.step, {}, &Source::step);
    members.push_back({{"step", member.step}, {"weight", member.weight}, {"digest", source.digest}});
  }
  AverageSpec spec = file.average.spec;
  if (spec.stride == 0) spec.stride = even_spacing(file.average.members);
  Json description = describe(spec, std::ssize(file.average.members));
  description["members"] = members;
  if (file.precision != "fp32") description["precision"] = file.precision;
  return description;
}

Json described_weights(const FlatHeader& header) { return in_todays_words(header.provenance.value("average", Json())); }

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
                                       const std::string& precision) {
  const bool grid = config.window.size() > 1 || config.stride.size() > 1;
  std::vector<PlannedFile> files;
  for (const Average& average : plan) {
    const AverageSpec place{.scheme = average.spec.scheme, .window = average.spec.window, .stride = average.spec.stride};
    const fs::path folder = grid ? destination / lawa::folder(place) : destination;
    const fs::path path = detail::is_safetensors(sources[0].path) ? folder / (checkpoint_name(average.step()) + ".safetensors")
                                                                  : weights_path(folder, average.step());
    files.push_back({average, path, precision});
  }
  return files;
}

namespace {

/// Of two descriptions, what decides: a file that was written before may say less of the rest.
bool is_same_average(const Json& a, const Json& b) {
  const auto same = [&](const char* key) { return a.value(key, Json()) == b.value(key, Json()); };
  return a.is_object() && std::ranges::all_of(std::vector{"scheme", "window", "stride", "members", "precision"}, same);
}

}  // namespace

std::vector<PlannedFile> missing_files(const std::vector<PlannedFile>& planned, const std::vector<Source>& sources, bool skip_existing) {
  std::vector<PlannedFile> missing;
  for (const PlannedFile& file : planned) {
    const std::string name = file.path.string();
    LAWA_CHECK(!fs::exists(file.path) || skip_existing, name, ": exists; choose another destination, or averaging.skip_existing=true");
    const bool tensors = detail::is_safetensors(file.path);
    if (!fs::exists(file.path) || (!tensors && !fs::exists(record_path(file.path.parent_path(), file.average.step())))) {
      missing.push_back(file);  // without a record: killed before it was committed
      continue;
    }
    if (!tensors) verify_by_record(file.path);
    const Json found = tensors ? detail::described_tensors(file.path).first
                               : described_weights(FlatFileReader(file.path, "weights").header());
    LAWA_CHECK(is_same_average(found, describe_average(file, sources)), name, ": exists and is another average (",
               found.dump().substr(0, 60), "…)");
  }
  return missing;
}

}  // namespace lawa
