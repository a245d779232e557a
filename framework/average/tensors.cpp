#include "average/tensors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

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

/// How the error begins.
std::string is_other(const PlacedFile& file, const fs::path& than) { return concat(file.path.string(), ": is of another model than ", than.string(), ": "); }

/// The tensors of a table whose names `is_meant` takes.
template <class IsMeant>
ParameterTable some_of(const ParameterTable& table, IsMeant&& is_meant) {
  ParameterTable some;
  for (const Parameter& parameter : table.parameters())
    if (is_meant(parameter.name)) some.add(parameter);
  return some;
}

}  // namespace

void check_same_tensors(const PlacedFile& file, const PlacedFile& first) {
  const auto same = [](const CopiedBytes& a, const CopiedBytes& b) { return a.name == b.name && a.what == b.what; };
  const auto by_name = [](std::vector<CopiedBytes> bytes) {
    std::ranges::sort(bytes, {}, &CopiedBytes::name);
    return bytes;
  };
  if (file.header.table.same_layout(first.header.table) && std::ranges::equal(by_name(file.copied), by_name(first.copied), same)) return;
  const auto here = tensors_of(file), there = tensors_of(first);
  const std::string begin = is_other(file, first.path);
  const std::string way_out = format_of(file.path).by_tensor ? "; averaging.missing=keep or drop goes on" + piece_hint(file.path) : "";
  for (const auto& [tensor, what] : here) {
    const auto other = there.find(tensor);
    LAWA_CHECK(other != there.end(), begin, "it holds ", tensor, ", and that doesn't", way_out);
    LAWA_CHECK(decisive(what) == decisive(other->second), begin, tensor, " is ", what, ", and there ", other->second);
  }
  for (const auto& [tensor, what] : there) LAWA_CHECK(here.contains(tensor), begin, "it lacks ", tensor, ", which that holds", way_out);
  LAWA_CHECK(file.header.table.same_layout(first.header.table), begin, "their tensors stand in another order");
}

void take_common_tensors(std::vector<OpenedSource>& opened) {
  struct Known {
    std::string what;
    fs::path file;
    size_t holders = 0;
  };
  std::map<std::string, Known> known;
  for (const auto& [file, partial] : opened)
    for (const auto& [tensor, what] : tensors_of(file)) {
      Known& other = known.try_emplace(tensor, Known{what, file.path}).first->second;
      LAWA_CHECK(decisive(what) == decisive(other.what), is_other(file, other.file), tensor, " is ", what, ", and there ", other.what);
      ++other.holders;
    }
  const auto is_common = [&](const std::string& tensor) { return known.at(tensor).holders == opened.size(); };
  const ParameterTable common = some_of(opened[0].file.header.table, is_common);
  LAWA_CHECK(common.size() > 0, is_other(opened.back().file, opened[0].file.path), "no tensor of floats is in all files");
  for (auto& [file, partial] : opened) {
    for (const auto& [tensor, what] : tensors_of(file))
      if (!is_common(tensor)) partial.push_back(tensor);
    file.arrays["weights"] = file.places("weights").of_tensors(common, file.header.table);
    file.header.table = common;
    std::erase_if(file.copied, [&](const CopiedBytes& bytes) { return !is_common(bytes.name); });
  }
}

void take_tensors(std::vector<Source>& sources, const ParameterTable& table) {
  if (sources[0].table->same_layout(table)) return;
  const auto shared = std::make_shared<const ParameterTable>(table);
  for (Source& source : sources) {
    const auto& parameters = source.table->parameters();
    for (const Parameter& wanted : table.parameters())
      LAWA_CHECK(std::ranges::any_of(parameters, [&](const Parameter& p) { return p.name == wanted.name && p.shape == wanted.shape; }),
                 source.path.string(), ": has no tensor ", wanted.name, " ", Json(wanted.shape).dump(), " to average");
    source.places = source.places.of_tensors(table, *source.table);
    source.table = shared;
  }
}

// ---- tensors that are the same in all files --------------------------------------------------------------------------------

namespace {

constexpr int64_t all_bytes = int64_t{1} << 62;

/// A tensor that may be the same in all sources.
struct Candidate {
  std::string name, what;
  bool counts = false;
  const Parameter* parameter = nullptr;  ///< where it could be averaged
};

/// Of a tensor's first bytes in a source, and how they are stored.
std::string digest_in(OpenFiles& open, const Source& source, const Candidate& tensor, int64_t most) {
  const auto files = source.places.files_of(source.path);
  Digest digest;
  const auto add = [&](size_t file, int64_t begin, int64_t bytes) {
    std::vector<std::byte> piece;
    for (const int64_t end = begin + std::min(bytes, most); begin < end; begin += std::ssize(piece)) {
      piece.resize(static_cast<size_t>(std::min<int64_t>(end - begin, 1 << 20)));
      open[files[file]].read(begin, piece);
      digest.add(piece);
    }
  };
  if (tensor.parameter) {
    source.places.for_each_part(tensor.parameter->range(), [&](const Places::Part& part) {
      digest.add(name_of(part.format));
      add(part.file, part.offset, part.bytes());
    });
  } else {
    const auto found = std::ranges::find(source.copied, tensor.name, &CopiedBytes::name);
    add(found->file, found->bytes.begin, found->bytes.size());
  }
  return digest.hex();
}

/// Of each tensor, a source in which its first bytes aren't those that it has in the first source; 0 where there is none. Collective.
std::vector<size_t> source_that_differs(const Communicator& comm, const std::vector<Source>& sources, const std::vector<Candidate>& tensors, int64_t most) {
  std::vector<size_t> differs(tensors.size());
  if (tensors.empty()) return differs;
  Json mine = Json::array();
  comm.together([&] {
    OpenFiles open(ByteFile::Mode::read);
    for (auto i = static_cast<size_t>(comm.rank()); i < sources.size(); i += static_cast<size_t>(comm.size())) {
      std::vector<std::string> digests;
      for (const Candidate& tensor : tensors) digests.push_back(digest_in(open, sources[i], tensor, most));
      mine.push_back({i, digests});
    }
  });
  std::vector<std::vector<std::string>> digests(sources.size());
  for (const std::string& text : comm.gather(mine.dump()))
    for (const Json& entry : Json::parse(text)) digests[entry[0].get<size_t>()] = entry[1];
  for (size_t i = sources.size(); i-- > 1;)
    for (size_t j = 0; j < tensors.size(); ++j)
      if (digests[i][j] != digests[0][j]) differs[j] = i;
  return differs;
}

/// True for a number that a format holds exactly.
bool is_exact_in(float x, NumberFormat format) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (format == NumberFormat::bfloat16) return (bits & 0xffff) == 0;
  if (format == NumberFormat::float32 || !std::isfinite(x)) return true;
  return std::abs(x) <= 65504 && (bits & 0x1fff) == 0 && x * 0x1p24f == std::trunc(x * 0x1p24f);
}
/// The same for all numbers of a tensor. A float64 is kept as it is, whatever it holds.
bool is_exact_in(const Source& source, const Parameter& tensor, NumberFormat format) {
  bool exact = true;
  source.places.for_each_part(tensor.range(), [&](const Places::Part& part) { exact &= part.format != NumberFormat::float64; });
  OpenFiles open(ByteFile::Mode::read);
  PlacedReader reader(open, source.path, source.places, *source.table);
  std::vector<float> values;
  for (int64_t begin = tensor.offset; exact && begin < tensor.range().end; begin += std::ssize(values)) {
    values.resize(static_cast<size_t>(std::min<int64_t>(tensor.range().end - begin, 1 << 18)));
    reader.read({begin, begin + std::ssize(values)}, values);
    exact = std::ranges::all_of(values, [&](float x) { return is_exact_in(x, format); });
  }
  return exact;
}

/// Those of some tensors that a format doesn't hold exactly. Collective.
std::set<std::string> inexact_in(const Communicator& comm, const Source& source, const std::vector<Candidate>& tensors, NumberFormat format) {
  std::vector<std::string> mine;
  comm.together([&] {
    for (auto j = static_cast<size_t>(comm.rank()); j < tensors.size(); j += static_cast<size_t>(comm.size()))
      if (!is_exact_in(source, *tensors[j].parameter, format)) mine.push_back(tensors[j].name);
  });
  std::set<std::string> inexact;
  for (const std::string& text : comm.gather(Json(mine).dump()))
    for (const Json& name : Json::parse(text)) inexact.insert(name);
  return inexact;
}

/// "3 tensors …: a, b, c".
void say(Log& log, const char* what, const std::set<std::string>& names) {
  constexpr size_t most = 8;
  if (names.empty()) return;
  std::string text = concat(names.size(), names.size() == 1 ? " tensor" : " tensors", what);
  size_t said = 0;
  for (const std::string& name : names)
    if (said++ < most) text += (said == 1 ? ": " : ", ") + name;
  log.line(text + (names.size() > most ? ", …" : ""));
}

}  // namespace

void choose_tensors(const Communicator& comm, std::vector<Source>& sources, NumberFormat numbers, Log& log) {
  if (sources.size() < 2 || !format_of(sources[0].path).by_tensor) return;
  const auto table = sources[0].table;
  std::vector<Candidate> tensors;
  for (const CopiedBytes& bytes : sources[0].copied) tensors.push_back({bytes.name, bytes.what, bytes.counts});
  for (const Parameter& parameter : table->parameters()) {
    bool held = true;
    sources[0].places.for_each_part(parameter.range(), [&](const Places::Part& part) { held &= holds(numbers, part.format); });
    if (!held) tensors.push_back({.name = parameter.name, .what = {}, .parameter = &parameter});
  }
  std::set<std::string> newest;
  for (const int64_t most : {int64_t{4096}, all_bytes}) {
    const std::vector<size_t> differs = source_that_differs(comm, sources, tensors, most);
    std::vector<Candidate> same;
    for (size_t j = 0; j < tensors.size(); ++j) {
      const Candidate& tensor = tensors[j];
      if (differs[j] == 0) same.push_back(tensor);
      else if (tensor.counts) newest.insert(tensor.name);
      else LAWA_CHECK(tensor.parameter, sources[differs[j]].path.string(), ": ", tensor.name, " (", tensor.what, ") differs from that in ",
                      sources[0].path.string(), ", and only float32, bfloat16, float16 and float64 are averaged");
    }
    tensors = std::move(same);
  }
  std::erase_if(tensors, [](const Candidate& tensor) { return !tensor.parameter; });
  const std::set<std::string> copied = inexact_in(comm, sources[0], tensors, numbers);
  const bool all = copied.size() == table->parameters().size();  // the same checkpoint several times
  if (!copied.empty() && !all) take_tensors(sources, some_of(*table, [&](const std::string& name) { return !copied.contains(name); }));
  say(log, " with integers that differ between the checkpoints; an average has its newest one's", newest);
  if (!all) say(log, concat(" that ", name_of(numbers), " doesn't hold exactly, the same in all checkpoints, copied as they are").c_str(), copied);
  std::set<std::string> partial;
  for (const Source& source : sources) partial.insert(source.partial.begin(), source.partial.end());
  say(log, " that not all checkpoints hold, not averaged", partial);
}

bool is_same_in_all(const std::vector<const Source*>& sources, const std::string& name) {
  const auto& parameters = sources[0]->table->parameters();
  const Candidate tensor{.name = name, .what = {}, .parameter = &*std::ranges::find(parameters, name, &Parameter::name)};
  OpenFiles open(ByteFile::Mode::read);
  const std::string first = digest_in(open, *sources[0], tensor, all_bytes);
  return sources.size() > 1 && std::ranges::all_of(sources, [&](const Source* source) { return digest_in(open, *source, tensor, all_bytes) == first; });
}

}  // namespace lawa
