#include "average/sources.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "average/one_trajectory.hpp"
#include "average/order_of_files.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// Tensors by name, and what each is.
std::map<std::string, std::string> tensors_of(const PlacedFile& file) {
  std::map<std::string, std::string> tensors;
  const std::vector<Segment>& segments = file.places("weights").segments;
  for (const Parameter& parameter : file.header.table.parameters()) {
    const auto segment = std::ranges::upper_bound(segments, parameter.offset, {}, [](const Segment& s) { return s.elements.end; });
    tensors[parameter.name] = concat(name_of(segment->format), " ", Json(parameter.shape).dump());
  }
  for (const CopiedBytes& bytes : file.copied) tensors[bytes.name] = bytes.what;
  return tensors;
}

/// Of what a tensor is: numbers that are averaged may be stored in other formats.
std::string decisive(const std::string& what) { return what.substr(what.find_first_of("fb") == 0 ? what.find(' ') : 0); }

/// Errors: the files hold other tensors.
void check_same_tensors(const PlacedFile& file, const PlacedFile& first) {
  const auto same = [](const CopiedBytes& a, const CopiedBytes& b) { return a.name == b.name && a.what == b.what; };
  const auto by_name = [](std::vector<CopiedBytes> bytes) {
    std::ranges::sort(bytes, {}, &CopiedBytes::name);
    return bytes;
  };
  if (file.header.table.same_layout(first.header.table) && std::ranges::equal(by_name(file.copied), by_name(first.copied), same)) return;
  const auto here = tensors_of(file), there = tensors_of(first);
  const std::string is_other = file.path.string() + ": is of another model than " + first.path.string() + ": ";
  for (const auto& [tensor, what] : here) {
    const auto other = there.find(tensor);
    LAWA_CHECK(other != there.end(), is_other, "it holds ", tensor, ", and that doesn't");
    LAWA_CHECK(decisive(what) == decisive(other->second), is_other, tensor, " is ", what, ", and there ", other->second);
  }
  for (const auto& [tensor, what] : there) LAWA_CHECK(here.contains(tensor), is_other, "it lacks ", tensor, ", which that holds");
  fail(__FILE__, __LINE__, is_other, "their tensors stand in another order");
}

using Say = std::function<void(const std::string&)>;

/// "step 1 is c.safetensors": of every file, or where there is nothing to be seen in the others, of the first and the last one.
void say_steps(const std::vector<PlacedFile>& files, const FileOrder& order, const Say& say) {
  if (!say) return;
  std::vector<size_t> sequence;
  for (size_t i = 0; i < files.size(); ++i) sequence.push_back(i);
  std::ranges::sort(sequence, {}, [&](size_t i) { return order.steps[i]; });
  const auto line = [&](const std::string& which, size_t i) {
    const char* initial = order.steps[i] == 0 ? ": the initial weights, which are in no average" : "";
    say(concat(which, "step ", order.steps[i], " is ", files[i].path.string(), initial));
  };
  if (!order.how.empty()) say(order.how);
  const bool all = order.by_place || files.size() < 2;
  for (const size_t i : sequence)
    if (all || i == sequence.front() || i == sequence.back()) line(all ? "" : i == sequence.front() ? "first " : "last ", i);
  if (order.newest) say(files[*order.newest].path.string() + ": names no step, and counts as the newest");
}

/// A file that names no step, and is the newest by its name, may be a copy of the last one that names one: then it goes.
void drop_copy_of_newest(std::vector<PlacedFile>& files, FileOrder& order, const Say& say) {
  if (!order.newest) return;
  const auto at = static_cast<int64_t>(*order.newest);
  const auto same = std::ranges::find_if(files, [&](const PlacedFile& f) { return &f != &files[*order.newest] && f.identity == files[*order.newest].identity; });
  if (same == files.end()) return;
  if (say) say(concat(files[*order.newest].path.string(), ": is left out: it holds what ", same->path.string(), " holds"));
  files.erase(files.begin() + at);
  order.steps.erase(order.steps.begin() + at);
  order.newest.reset();
}

/// Gives files that don't say their step one each.
void find_steps(std::vector<PlacedFile>& files, const SourceOptions& options, const Say& say) {
  if (std::ranges::all_of(files, &PlacedFile::says_step)) return;
  std::vector<fs::path> paths;
  for (const PlacedFile& file : files) paths.push_back(file.path);
  FileOrder order = order_of(paths, options.order == "list");
  drop_copy_of_newest(files, order, say);
  for (size_t i = 0; i < files.size(); ++i) files[i].header.step = order.steps[i];
  say_steps(files, order, say);
}

std::vector<PlacedFile> open_all(const std::vector<fs::path>& files) {
  std::vector<PlacedFile> opened;
  for (const fs::path& file : files) {
    LAWA_CHECK(&format_of(file) == &format_of(files[0]), "source: files of two formats, ", format_of(files[0]).ending, " and ",
               format_of(file).ending, ", aren't averaged together: ", files[0].string(), ", ", file.string());
    opened.push_back(format_of(file).open(file));
    const PlacedFile &newest = opened.back(), &first = opened.front();
    LAWA_CHECK(newest.arrays.contains("weights"), file.string(), ": is a ", newest.header.kind, " file, not a weights file");
    check_same_tensors(newest, first);
    if (opened.size() > 1) opened.back().header.table = {};  // the first's will do
    opened.back().own_words = {};
  }
  return opened;
}

/// How many of some files, sorted by step, have the same step. Errors: several have, unless they may; one file is named twice.
int64_t most_of_one_step(const std::vector<PlacedFile>& files, bool may_share) {
  int64_t most = 1;
  for (size_t i = 1, same = 1; i < files.size(); ++i) {
    same = files[i].header.step == files[i - 1].header.step ? same + 1 : 1;
    most = std::max(most, static_cast<int64_t>(same));
    for (size_t j = i + 1 - same; j < i; ++j)
      LAWA_CHECK(may_share && !fs::equivalent(files[j].path, files[i].path), "two of the checkpoints have step ", files[i].header.step, ": ",
                 files[j].path.string(), ", ", files[i].path.string());
  }
  LAWA_CHECK(most == 1 || files.back().header.step < std::numeric_limits<int64_t>::max() / most, files.back().path.string(),
             ": has step ", files.back().header.step, ", which is too large to be averaged with others of one step");
  return most;
}

/// Numbers the sources, which are sorted by step, so that no two have the same step.
void share_steps(std::vector<Source>& sources, int64_t sharing) {
  for (size_t i = 0; i < sources.size(); ++i) {
    const bool of_step_before = i > 0 && sources[i].step == sources[i - 1].own_step();
    sources[i].sharing = sharing;
    sources[i].step = of_step_before ? sources[i - 1].step + 1 : sources[i].step * sharing;
  }
}

Json to_json(const PlacedFile& file) {
  Json copied = Json::array();
  for (const auto& [name, what, bytes] : file.copied) copied.push_back({name, what, bytes.begin, bytes.end});
  return {file.header.step, file.path.string(), file.identity, file.header.trajectory_hash, file.places("weights").to_json(), copied};
}

Source source_from(const Json& json, const std::shared_ptr<const ParameterTable>& table) {
  Source source{.step = json.at(0), .path = json.at(1).get<std::string>(), .digest = json.at(2), .trajectory_hash = json.at(3),
                .places = Places::from_json(json.at(4)), .table = table};
  for (const Json& bytes : json.at(5)) source.copied.push_back({bytes.at(0), bytes.at(1), {bytes.at(2), bytes.at(3)}});
  return source;
}

}  // namespace

std::vector<Source> open_sources(const Communicator& comm, const std::vector<fs::path>& files, const SourceOptions& options, const Say& say) {
  std::string text;
  comm.on_root([&] {
    std::vector<PlacedFile> opened = open_all(files);
    const Json table = opened.empty() ? Json::array() : opened[0].header.table.to_json();
    if (!options.any_run) keep_one_trajectory(opened, say);
    find_steps(opened, options, say);
    std::ranges::stable_sort(opened, {}, [](const PlacedFile& file) { return file.header.step; });
    Json list = Json::array();
    for (const PlacedFile& file : opened) list.push_back(to_json(file));
    text = Json{{"files", list}, {"table", table}, {"sharing", most_of_one_step(opened, options.any_run)}}.dump();
  });
  const Json all = Json::parse(comm.broadcast(text));
  const auto table = std::make_shared<const ParameterTable>(ParameterTable::from_json(all.at("table"), "source"));
  std::vector<Source> sources;
  for (const Json& file : all.at("files")) sources.push_back(source_from(file, table));
  share_steps(sources, all.at("sharing"));
  return sources;
}

std::vector<Average> planned_averages(const AveragingConfig& config, const std::vector<Source>& sources) {
  std::vector<int64_t> steps;
  for (const Source& source : sources) steps.push_back(source.step);
  return averaging_plan(config, steps, sources.empty() ? 1 : sources[0].sharing);
}

std::vector<Source> used_sources(const std::vector<Average>& plan, const std::vector<Source>& sources) {
  std::set<int64_t> steps;
  for (const Average& average : plan)
    for (const Member& member : average.members) steps.insert(member.step);
  std::vector<Source> used;
  std::ranges::copy_if(sources, std::back_inserter(used), [&](const Source& source) { return steps.contains(source.step); });
  return used;
}

void check_copied_bytes(const Communicator& comm, const std::vector<Source>& sources) {
  if (sources.empty() || sources[0].copied.empty()) return;
  Json mine = Json::array();
  comm.together([&] {
    for (auto i = static_cast<size_t>(comm.rank()); i < sources.size(); i += static_cast<size_t>(comm.size())) {
      Json digests = Json::object();
      for (const CopiedBytes& copied : sources[i].copied) {
        Digest digest;
        add_file_bytes(digest, sources[i].path, static_cast<uint64_t>(copied.bytes.begin), static_cast<uint64_t>(copied.bytes.end));
        digests[copied.name] = digest.hex();
      }
      mine.push_back({i, digests});
    }
  });
  std::vector<Json> digests(sources.size());
  for (const std::string& text : comm.gather(mine.dump()))
    for (const Json& entry : Json::parse(text)) digests[entry[0].get<size_t>()] = entry[1];
  for (size_t i = 1; i < sources.size(); ++i)
    for (const CopiedBytes& copied : sources[i].copied)
      LAWA_CHECK(digests[i][copied.name] == digests[0][copied.name], sources[i].path.string(), ": ", copied.name, " (", copied.what,
                 ") differs from that in ", sources[0].path.string(), ", and only float32, bfloat16 and float16 are averaged");
}

// ---- reading ---------------------------------------------------------------------------------------------------------------

namespace {

bool all_finite(std::span<const float> values) {
  float zero = 0;  // x - x is 0 for finite x, else NaN
#pragma omp simd reduction(+ : zero)
  for (size_t i = 0; i < values.size(); ++i) zero += values[i] - values[i];
  return zero == 0;
}

void check_finite(std::span<const float> values, const Source& source, int64_t begin) {
  if (all_finite(values)) return;
  const auto bad = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); }) - values.begin();
  fail(__FILE__, __LINE__, source.path.string(), ": ", source.table->at(begin + bad).name, " holds ", values[static_cast<size_t>(bad)],
       " (element ", begin + bad, " of the weights); averaging.allow_nonfinite=true averages it all the same");
}

}  // namespace

SourceReaders::SourceReaders(const std::vector<Source>& sources, bool allow_nonfinite) : allow_nonfinite_(allow_nonfinite) {
  for (const Source& source : sources) {
    sources_.emplace(source.step, &source);
    readers_.emplace(std::piecewise_construct, std::forward_as_tuple(source.step),
                     std::forward_as_tuple(files_, source.path, source.places, *source.table));
  }
}

void SourceReaders::read(int64_t step, Range range, std::span<float> out) {
  readers_.at(step).read(range, out);
  if (!allow_nonfinite_) check_finite(out, *sources_.at(step), range.begin);
}

int64_t SourceReaders::bytes() const {
  int64_t all = 0;
  for (const auto& [step, reader] : readers_) all += reader.bytes();
  return all;
}

}  // namespace lawa
