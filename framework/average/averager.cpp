#include "average/averager.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "average/averaging_job.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace detail {
namespace {

bool all_finite(std::span<const float> values) {
  float zero = 0;  // x - x is 0 for finite x, else NaN
#pragma omp simd reduction(+ : zero)
  for (size_t i = 0; i < values.size(); ++i) zero += values[i] - values[i];
  return zero == 0;
}

}  // namespace

void check_finite(std::span<const float> values, const std::string& path, const ParameterTable& table, int64_t begin) {
  if (all_finite(values)) return;
  const auto bad = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); }) - values.begin();
  fail(__FILE__, __LINE__, path, ": ", table.at(begin + bad).name, " holds ", values[static_cast<size_t>(bad)], " (element ", begin + bad,
       " of the weights); averaging.allow_nonfinite=true averages it all the same");
}

std::vector<Source> used_sources(const std::vector<Average>& plan, const std::vector<Source>& sources) {
  std::set<int64_t> steps;
  for (const Average& average : plan)
    for (const Member& member : average.members) steps.insert(member.step);
  std::vector<Source> used;
  std::ranges::copy_if(sources, std::back_inserter(used), [&](const Source& source) { return steps.contains(source.step); });
  return used;
}

std::vector<Average> averages_of(const std::vector<PlannedFile>& files) {
  std::vector<Average> plan;
  for (const PlannedFile& file : files) plan.push_back(file.average);
  return plan;
}

std::string work_text(const AveragingOrder& order, size_t averages, int64_t elements) {
  return concat(averages, " averages of ", order.stops.size(), " checkpoints; at most ",
                bytes_text(static_cast<double>(order.bytes(elements))), " of weights held a rank");
}

void add_checksums(std::span<const float> values, NumberFormat format, std::vector<uint64_t>& sums) {
  std::vector<std::byte> stored(values.size() * static_cast<size_t>(bytes_of(format)));
  from_floats(values, format, stored);
  const auto some = block_checksums(stored, format);
  sums.insert(sums.end(), some.begin(), some.end());
}

PartFiles::~PartFiles() {
  std::error_code ignored;
  if (!committed_) for_mine([&](size_t i) { fs::remove(part_of(files_[i].path), ignored); });
}

void PartFiles::make_durable() const {
  comm_.together([&] {
    for (const PlannedFile& file : files_) lawa::make_durable(part_of(file.path));
  });
}

std::string digest_of(const Communicator& comm, const std::vector<uint64_t>& mine) {
  Digest digest;
  for (const std::string& part : comm.gather({reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(uint64_t)}))
    digest.add(std::as_bytes(std::span(part)));
  return digest.hex();
}

}  // namespace detail

AveragingTotals write_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                               const std::vector<Source>& sources, Log& log) {
  if (sources.empty() || !detail::is_safetensors(sources[0].path)) return detail::write_flat_averages(comm, options, files, sources, log);
  return detail::write_tensor_averages(comm, options, files, sources, log);
}

std::string rebuilt_digest(const Communicator& comm, const AveragingOutput& options, const Json& description,
                           const std::vector<Source>& sources, const std::string& place) {
  const PlannedFile file = described_average(description, place);
  for (const Json& member : description.at("members")) {
    const auto source = std::ranges::find(sources, member.at("step").get<int64_t>(), &Source::step);
    LAWA_CHECK(source != sources.end(), place, ": is made from step ", member.at("step").dump(), ", which isn't among the sources");
    LAWA_CHECK(member.value("digest", Json(source->digest)) == source->digest, source->path.string(), ": isn't the file that ", place,
               " was made from (their digests differ)");  // an average that was made in the run names none
  }
  const auto digest = detail::is_safetensors(place) ? detail::tensor_digest : detail::flat_digest;
  return digest(comm, options, file.average, detail::format_of(file.precision), sources);
}

namespace {

/// Reads a safetensors average again: the mean of one file is the file. Errors: its digest isn't the one that it names.
void verify_tensors(const Communicator& comm, const fs::path& file, const Json& description, const std::string& named) {
  const NumberFormat format = detail::format_of(described_average(description, file.string()).precision);
  const Average itself{.spec = {}, .members = {{1, 1.0}}};
  const std::vector<Source> source{{.step = 1, .path = file, .digest = "", .trajectory_hash = ""}};
  const std::string digest = detail::tensor_digest(comm, {.allow_nonfinite = true}, itself, format, source);
  LAWA_CHECK(digest == named, file.string(), ": is damaged: its tensors have the digest ", digest, ", and it names ", named);
}

}  // namespace

ExistingAverage existing_average(const Communicator& comm, const fs::path& file) {
  std::string text;
  comm.on_root([&] {
    if (detail::is_safetensors(file)) {
      const auto [description, digest] = detail::described_tensors(file);
      text = Json{{"average", description}, {"digest", digest}}.dump();
    } else {
      verify_by_record(file);
      const FlatFileReader reader(file, "weights");
      text = Json{{"average", described_weights(reader.header())}, {"digest", reader.digest("weights")}}.dump();
    }
  });
  const Json found = Json::parse(comm.broadcast(text));
  if (detail::is_safetensors(file)) verify_tensors(comm, file, found["average"], found["digest"]);
  else detail::verify_flat(comm, file);  // its digest stands for its checksums: its numbers must be theirs
  return {found["average"], found["digest"]};
}

}  // namespace lawa
