#include "average/sources.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "average/one_trajectory.hpp"
#include "average/order_of_files.hpp"
#include "average/tensors.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/error.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

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
  FileOrder order = order_of(paths, options.order == "list", options.any_run);
  drop_copy_of_newest(files, order, say);
  for (size_t i = 0; i < files.size(); ++i) files[i].header.step = order.steps[i];
  say_steps(files, order, say);
}

/// Files that needn't hold the same tensors keep their tables; of others the first one's will do.
std::vector<PlacedFile> open_all(const std::vector<fs::path>& files, bool may_differ, bool as_models) {
  std::vector<PlacedFile> opened;
  for (const fs::path& file : files) {
    LAWA_CHECK(&format_of(file) == &format_of(files[0]), "source: files of two formats, ", format_of(files[0]).name, " and ",
               format_of(file).name, ", aren't averaged together: ", files[0].string(), ", ", file.string());
    opened.push_back(as_models ? open_model(file) : format_of(file).open(file));
    PlacedFile &newest = opened.back(), &first = opened.front();
    LAWA_CHECK(newest.arrays.contains("weights"), file.string(), ": is a ", newest.header.kind, " file, not a weights file");
    newest.own_words = {};
    if (may_differ) continue;
    check_same_tensors(newest, first);
    if (opened.size() > 1) newest.header.table = {};
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

Json to_json(const OpenedSource& source) {
  const PlacedFile& file = source.file;
  Json copied = Json::array();
  for (const auto& [name, what, counts, bytes, in] : file.copied) copied.push_back({name, what, counts, bytes.begin, bytes.end, in});
  return {file.header.step, file.path.string(), file.identity, file.header.trajectory_hash, file.places("weights").to_json(), copied, source.partial};
}

Source source_from(const Json& json, const std::shared_ptr<const ParameterTable>& table) {
  Source source{.step = json.at(0), .path = json.at(1).get<std::string>(), .digest = json.at(2), .trajectory_hash = json.at(3),
                .places = Places::from_json(json.at(4)), .partial = json.at(6), .table = table};
  for (const Json& bytes : json.at(5)) source.copied.push_back({bytes.at(0), bytes.at(1), bytes.at(2), {bytes.at(3), bytes.at(4)}, bytes.at(5)});
  return source;
}

}  // namespace

std::vector<Source> open_sources(const Communicator& comm, const std::vector<fs::path>& files, const SourceOptions& options, bool may_differ,
                                 const Say& say) {
  const Json all = from_root(comm, [&] {
    may_differ = may_differ && !files.empty() && format_of(files[0]).by_tensor;
    std::vector<PlacedFile> opened = open_all(files, may_differ, options.as_models);
    Json table = opened.empty() ? Json::array() : opened[0].header.table.to_json();
    if (!options.any_run) keep_one_trajectory(opened, say);
    find_steps(opened, options, say);
    std::ranges::stable_sort(opened, {}, [](const PlacedFile& file) { return file.header.step; });
    const int64_t sharing = most_of_one_step(opened, options.any_run);
    std::vector<OpenedSource> sources;
    for (PlacedFile& file : opened) sources.push_back({std::move(file)});
    if (may_differ) {
      take_common_tensors(sources);
      table = sources[0].file.header.table.to_json();
    }
    Json list = Json::array();
    for (const OpenedSource& source : sources) list.push_back(to_json(source));
    return Json{{"files", list}, {"table", table}, {"sharing", sharing}};
  });
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

// ---- reading ---------------------------------------------------------------------------------------------------------------

namespace {

bool all_finite(std::span<const float> values) {
  float zero = 0;  // x - x is 0 for finite x, else NaN
#pragma omp simd reduction(+ : zero)
  for (size_t i = 0; i < values.size(); ++i) zero += values[i] - values[i];
  return zero == 0;
}

}  // namespace

/// Errors: a number that isn't finite; but a tensor that is the same in all sources may hold infinities, as a mask does.
void SourceReaders::check_finite(std::span<const float> values, const Source& source, int64_t begin) {
  if (all_finite(values)) return;
  const Parameter* tensor = nullptr;  // of the element that was looked at last
  bool constant = false;
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const float x = values[static_cast<size_t>(i)];
    if (std::isfinite(x)) continue;
    if (tensor == nullptr || begin + i >= tensor->range().end) {
      tensor = &source.table->at(begin + i);
      constant = is_constant(tensor->name);
    }
    LAWA_CHECK(std::isinf(x) && constant, source.path.string(), ": ", tensor->name, " holds ", x, " (element ", begin + i,
               " of the weights); averaging.allow_nonfinite=true averages it all the same");
  }
}

bool SourceReaders::is_constant(const std::string& tensor) {
  const auto [found, is_new] = constant_.try_emplace(tensor);
  if (is_new) {
    std::vector<const Source*> sources;
    for (const auto& [step, source] : sources_) sources.push_back(source);
    found->second = format_of(sources[0]->path).by_tensor && is_same_in_all(sources, tensor);
  }
  return found->second;
}

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
