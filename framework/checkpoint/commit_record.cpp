#include "checkpoint/commit_record.hpp"

#include <algorithm>
#include <cstdio>
#include <regex>

#include "core/byte_file.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"

namespace lawa {
namespace fs = std::filesystem;

namespace {
constexpr const char* digest_key = "record_digest";
}

Json FileRecord::to_json() const {
  Json ranges = Json::object();
  for (const auto& [array, range] : arrays) ranges[array] = {range.begin, range.end};
  return {{"name", name}, {"bytes", bytes}, {"arrays", ranges}, {"digest", digest}};
}

FileRecord FileRecord::from_json(const Json& json, const std::string& place) {
  try {
    FileRecord record{.name = json.at("name"), .bytes = json.at("bytes"), .arrays = {}, .digest = json.at("digest")};
    for (const auto& [array, range] : json.at("arrays").items()) record.arrays[array] = {range.at(0), range.at(1)};
    LAWA_CHECK(record.name.ends_with(".h5") && fs::path(record.name).filename() == record.name, place, ": names a file elsewhere: ", record.name);
    return record;
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, place, ": not a commit record: ", error.what());
  }
}

namespace {

FileRest rest_of(const ByteFile& file, const std::map<std::string, Range>& arrays) {
  FileRest rest;
  for (const auto& [name, range] : arrays) rest.arrays.push_back(range);
  rest.arrays.push_back({file.size(), file.size()});
  std::ranges::sort(rest.arrays, {}, &Range::begin);
  int64_t at = 0;
  for (const Range& range : rest.arrays) {
    LAWA_CHECK(range.begin >= at && range.end >= range.begin && range.end <= file.size(), file.path().string(), ": arrays overlap or lie outside");
    const size_t before = rest.bytes.size();
    rest.bytes.resize(before + static_cast<size_t>(range.begin - at));
    file.read(at, std::as_writable_bytes(std::span(rest.bytes).subspan(before)));
    at = range.end;
  }
  return rest;
}

}  // namespace

std::span<const std::byte> FileRest::at(Range place) const {
  int64_t begin = place.begin;
  for (const Range& array : arrays) {
    LAWA_CHECK(array.end <= place.begin || array.begin >= place.end, "bytes that overlap with an array");
    if (array.end <= place.begin) begin -= array.size();
  }
  LAWA_CHECK(begin >= 0 && begin + place.size() <= std::ssize(bytes), "bytes behind a file's end");
  return std::as_bytes(std::span(bytes).subspan(static_cast<size_t>(begin), static_cast<size_t>(place.size())));
}

FileRecord describe_file(const fs::path& path, const std::map<std::string, Range>& arrays) {
  const ByteFile file(path, ByteFile::Mode::read);
  return {path.filename().string(), file.size(), arrays, hash128(rest_of(file, arrays).bytes)};
}

FileRest verify_file(const fs::path& folder, const FileRecord& record) {
  const fs::path path = folder / record.name;
  LAWA_CHECK(fs::exists(path), path.string(), ": is missing, and its commit record names it");
  const auto bytes = static_cast<int64_t>(fs::file_size(path));
  LAWA_CHECK(bytes == record.bytes, path.string(), ": has ", bytes, " bytes, and its commit record says ", record.bytes,
             bytes < record.bytes ? " (truncated)" : "");
  FileRest rest = rest_of(ByteFile(path, ByteFile::Mode::read), record.arrays);
  LAWA_CHECK(hash128(rest.bytes) == record.digest, path.string(), ": is damaged outside its arrays (its commit record's digest doesn't verify)");
  return rest;
}

Json CommitRecord::to_json() const {
  Json json = {{"step", step}, {"trained_tokens", trained_tokens}, {"trajectory_hash", trajectory_hash}, {"weights", weights.to_json()}};
  if (state) json["state"] = state->to_json();
  if (open.temporary == OpenEnds::Temporary::state) json["temporary"] = "state";
  if (open.temporary == OpenEnds::Temporary::checkpoint) json["temporary"] = "checkpoint";
  if (open.evaluation) json["evaluation"] = "missing";
  json[digest_key] = hash128(json.dump());
  return json;
}

std::string checkpoint_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step_%08lld", static_cast<long long>(step));
  return name;
}
fs::path weights_path(const fs::path& folder, int64_t step) { return folder / (checkpoint_name(step) + ".weights.h5"); }
fs::path state_path(const fs::path& folder, int64_t step) { return folder / (checkpoint_name(step) + ".state.h5"); }
fs::path record_path(const fs::path& folder, int64_t step) { return folder / (checkpoint_name(step) + ".json"); }

void write_record(const fs::path& folder, const CommitRecord& record, bool durably) {
  write_file(record_path(folder, record.step), record.to_json().dump(2) + "\n", durably);
}

namespace {

/// Errors: a digest that isn't the rest's; a step or names of files that aren't those of the record's own name.
void check_record(const CommitRecord& record, Json json, const fs::path& path) {
  const std::string named = json.value(digest_key, "");  // records written before have none
  json.erase(digest_key);
  LAWA_CHECK(named.empty() || named == hash128(json.dump()), path.string(), ": the commit record is damaged (its digest doesn't verify)");
  const fs::path folder = path.parent_path();
  LAWA_CHECK(path == record_path(folder, record.step) && folder / record.weights.name == weights_path(folder, record.step) &&
                 (!record.state || folder / record.state->name == state_path(folder, record.step)),
             path.string(), ": the commit record is damaged: it is of step ", record.step, " and names ", record.weights.name,
             record.state ? ", " + record.state->name : "");
}

}  // namespace

CommitRecord read_record(const fs::path& path) {
  try {
    const Json json = parsed_json(read_file(path), path.string() + ": not a commit record");
    const Json& tokens = json.at(json.contains("tokens") ? "tokens" : "trained_tokens");  // the first is what it was called once
    CommitRecord record{.step = json.at("step"), .trained_tokens = tokens, .trajectory_hash = json.at("trajectory_hash"),
                        .weights = FileRecord::from_json(json.at("weights"), path.string()), .state = {}, .open = {}};
    if (json.contains("state")) record.state = FileRecord::from_json(json.at("state"), path.string());
    if (json.contains("temporary"))
      record.open.temporary = json["temporary"] == "state" ? OpenEnds::Temporary::state : OpenEnds::Temporary::checkpoint;
    record.open.evaluation = json.contains("evaluation");
    check_record(record, json, path);
    return record;
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, path.string(), ": not a commit record: ", error.what());
  }
}

namespace {

/// N of the files step_N<suffix> in a folder, ascending.
std::vector<int64_t> steps_of_files(const fs::path& folder, const std::string& suffix) {
  const std::regex pattern(R"(step_(\d{8,18}))" + suffix);
  std::vector<int64_t> steps;
  if (!fs::is_directory(folder)) return steps;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::smatch match;
    const std::string name = entry.path().filename().string();
    if (std::regex_match(name, match, pattern)) steps.push_back(std::stoll(match[1]));
  }
  std::ranges::sort(steps);
  return steps;
}

}  // namespace

std::vector<int64_t> recorded_steps(const fs::path& folder) { return steps_of_files(folder, R"(\.json)"); }
std::vector<int64_t> state_steps(const fs::path& folder) { return steps_of_files(folder, R"(\.state\.h5)"); }
std::vector<int64_t> weights_steps(const fs::path& folder) { return steps_of_files(folder, R"(\.weights\.h5)"); }

namespace {

void add_checkpoints(const fs::path& folder, std::vector<fs::path>& files) {
  for (const int64_t step : recorded_steps(folder))
    if (const CommitRecord record = read_record(record_path(folder, step)); record.open.temporary != OpenEnds::Temporary::checkpoint)
      files.push_back(folder / record.weights.name);
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

}  // namespace

std::vector<fs::path> weights_files(const std::vector<std::string>& places) {
  std::vector<fs::path> files;
  for (const fs::path place : places) {
    LAWA_CHECK(fs::exists(place), place.string(), ": doesn't exist");
    if (!fs::is_directory(place)) {
      files.push_back(place);
      continue;
    }
    const fs::path folder = fs::is_directory(place / "checkpoints") ? place / "checkpoints" : place;
    const size_t before = files.size();
    add_checkpoints(folder, files);
    if (files.size() == before)
      for (const fs::path& inner : folders_in(folder)) add_checkpoints(inner, files);
    LAWA_CHECK(files.size() > before, place.string(), ": holds no checkpoint with a commit record (step_….json) and no .safetensors");
  }
  std::ranges::for_each(files, check_is_utf8);
  return files;
}

std::optional<FileRest> verify_by_record(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const std::string suffix : {".weights.h5", ".state.h5"}) {
    if (!name.ends_with(suffix)) continue;
    const fs::path path = file.parent_path() / (name.substr(0, name.size() - suffix.size()) + ".json");
    if (!fs::exists(path)) continue;
    const CommitRecord record = read_record(path);
    if (record.weights.name == name) return verify_file(file.parent_path(), record.weights);
    if (record.state && record.state->name == name) return verify_file(file.parent_path(), *record.state);
  }
  return std::nullopt;
}

}  // namespace lawa
