#include "average/sources.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <regex>
#include <set>

#include "core/error.hpp"
#include "core/hash.hpp"
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
void find_steps(std::vector<PlacedFile>& files) {
  std::set<std::optional<int64_t>> named;
  for (const PlacedFile& file : files) named.insert(step_in(file.path));
  const bool by_name = named.size() == files.size() && !named.contains(std::nullopt);
  for (size_t i = 0; i < files.size(); ++i)
    if (!files[i].says_step) files[i].header.step = by_name ? *step_in(files[i].path) : static_cast<int64_t>(i) + 1;
}

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

std::vector<PlacedFile> open_all(const std::vector<fs::path>& files) {
  std::vector<PlacedFile> opened;
  for (const fs::path& file : files) {
    LAWA_CHECK(&format_of(file) == &format_of(files[0]), "source: files of two formats, ", format_of(files[0]).ending, " and ",
               format_of(file).ending, ", aren't averaged together: ", files[0].string(), ", ", file.string());
    opened.push_back(format_of(file).open(file));
    const PlacedFile &newest = opened.back(), &first = opened.front();
    LAWA_CHECK(newest.arrays.contains("weights"), file.string(), ": is a ", newest.header.kind, " file, not a weights file");
    check_same_tensors(newest, first);
    LAWA_CHECK(newest.header.trajectory_hash == first.header.trajectory_hash, file.string(), ": is of another run than ",
               first.path.string(), " (their trajectory hashes differ)");
    if (opened.size() > 1) opened.back().header.table = {};  // the first's will do
    opened.back().own_words = {};
  }
  find_steps(opened);
  return opened;
}

Json to_json(const PlacedFile& file) {
  Json copied = Json::array();
  for (const auto& [name, what, bytes] : file.copied) copied.push_back({name, what, bytes.begin, bytes.end});
  return {file.header.step, file.path.string(), file.identity, file.header.trajectory_hash, file.places("weights").to_json(), copied};
}

Source source_from(const Json& json, const std::shared_ptr<const ParameterTable>& table) {
  Source source{json.at(0), json.at(1).get<std::string>(), json.at(2), json.at(3), Places::from_json(json.at(4)), {}, table};
  for (const Json& bytes : json.at(5)) source.copied.push_back({bytes.at(0), bytes.at(1), {bytes.at(2), bytes.at(3)}});
  return source;
}

}  // namespace

std::vector<Source> open_sources(const Communicator& comm, const std::vector<fs::path>& files) {
  std::string text;
  comm.on_root([&] {
    Json list = Json::array();
    const std::vector<PlacedFile> opened = open_all(files);
    for (const PlacedFile& file : opened) list.push_back(to_json(file));
    text = Json{{"files", list}, {"table", opened.empty() ? Json::array() : opened[0].header.table.to_json()}}.dump();
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
