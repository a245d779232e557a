#include "average/sources.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <regex>
#include <set>

#include "average/tensors.hpp"
#include "core/error.hpp"
#include "interchange/weights_format.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// The step that a path names last ("…/step1000/model.safetensors", "checkpoint-500/…"), or nothing.
std::optional<int64_t> step_in(const fs::path& path) {
  static const std::regex pattern(R"((?:^|[^A-Za-z0-9])(?:step|checkpoint|iter)[-_]?(\d{1,18})(?![A-Za-z0-9]|\.\d))");
  const std::string text = path.string();
  std::optional<int64_t> step;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) step = std::stoll((*match)[1]);
  return step;
}

/// Gives files that don't say their step one each.
void find_steps(std::vector<OpenedSource>& files) {
  std::set<std::optional<int64_t>> named;
  for (const OpenedSource& source : files) named.insert(step_in(source.file.path));
  const bool by_name = named.size() == files.size() && !named.contains(std::nullopt);
  for (size_t i = 0; i < files.size(); ++i)
    if (PlacedFile& file = files[i].file; !file.says_step) file.header.step = by_name ? *step_in(file.path) : static_cast<int64_t>(i) + 1;
}

std::vector<OpenedSource> open_all(const std::vector<fs::path>& files, bool may_differ) {
  std::vector<OpenedSource> opened;
  may_differ = may_differ && !files.empty() && format_of(files[0]).by_tensor;
  for (const fs::path& file : files) {
    LAWA_CHECK(&format_of(file) == &format_of(files[0]), "source: files of two formats, ", format_of(files[0]).name, " and ",
               format_of(file).name, ", aren't averaged together: ", files[0].string(), ", ", file.string());
    opened.push_back({format_of(file).open(file)});
    PlacedFile &newest = opened.back().file, &first = opened.front().file;
    LAWA_CHECK(newest.arrays.contains("weights"), file.string(), ": is a ", newest.header.kind, " file, not a weights file");
    LAWA_CHECK(newest.header.trajectory_hash == first.header.trajectory_hash, file.string(), ": is of another run than ",
               first.path.string(), " (their trajectory hashes differ)");
    newest.own_words = {};
    if (may_differ) continue;
    check_same_tensors(newest, first);
    if (opened.size() > 1) newest.header.table = {};  // the first's will do
  }
  if (may_differ) take_common_tensors(opened);
  find_steps(opened);
  return opened;
}

Json to_json(const OpenedSource& source) {
  const PlacedFile& file = source.file;
  Json copied = Json::array();
  for (const auto& [name, what, counts, bytes, in] : file.copied) copied.push_back({name, what, counts, bytes.begin, bytes.end, in});
  return {file.header.step, file.path.string(), file.identity, file.header.trajectory_hash, file.places("weights").to_json(), copied, source.partial};
}

Source source_from(const Json& json, const std::shared_ptr<const ParameterTable>& table) {
  Source source{json.at(0), json.at(1).get<std::string>(), json.at(2), json.at(3), Places::from_json(json.at(4)), {}, json.at(6), table};
  for (const Json& bytes : json.at(5)) source.copied.push_back({bytes.at(0), bytes.at(1), bytes.at(2), {bytes.at(3), bytes.at(4)}, bytes.at(5)});
  return source;
}

}  // namespace

std::vector<Source> open_sources(const Communicator& comm, const std::vector<fs::path>& files, bool may_differ) {
  std::string text;
  comm.on_root([&] {
    Json list = Json::array();
    const std::vector<OpenedSource> opened = open_all(files, may_differ);
    for (const OpenedSource& source : opened) list.push_back(to_json(source));
    text = Json{{"files", list}, {"table", opened.empty() ? Json::array() : opened[0].file.header.table.to_json()}}.dump();
  });
  const Json all = Json::parse(comm.broadcast(text));
  const auto table = std::make_shared<const ParameterTable>(ParameterTable::from_json(all.at("table"), "source"));
  std::vector<Source> sources;
  for (const Json& file : all.at("files")) sources.push_back(source_from(file, table));
  std::ranges::sort(sources, {}, &Source::step);
  return sources;
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
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const float x = values[static_cast<size_t>(i)];
    if (std::isfinite(x)) continue;
    const Parameter& tensor = source.table->at(begin + i);
    LAWA_CHECK(std::isinf(x) && is_constant(tensor.name), source.path.string(), ": ", tensor.name, " holds ", x, " (element ", begin + i,
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
