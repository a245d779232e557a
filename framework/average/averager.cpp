#include "average/averager.hpp"

#include <algorithm>

#include "core/version.hpp"
#include "params/shard_layout.hpp"

namespace lawa {
namespace fs = std::filesystem;

void Mean::add(std::span<const float> values) {
  LAWA_CHECK(values.size() <= sums_.size(), "a mean of ", sums_.size(), " elements can't take ", values.size());
  double* const sums = sums_.data();
  const float* const from = values.data();
#pragma omp simd
  for (size_t i = 0; i < values.size(); ++i) sums[i] += static_cast<double>(from[i]);
  ++count_;
}

void Mean::finish(std::span<float> out) {
  LAWA_CHECK(out.size() <= sums_.size() && count_ > 0, "a mean of ", count_, " arrays of ", sums_.size(), " elements into ", out.size());
  const double* const sums = sums_.data();
  float* const to = out.data();
  const auto count = static_cast<double>(count_);
#pragma omp simd
  for (size_t i = 0; i < out.size(); ++i) to[i] = static_cast<float>(sums[i] / count);
  std::ranges::fill(sums_, -0.0);
  count_ = 0;
}

namespace {

const Source& source_of(const std::vector<Source>& sources, int64_t step) {
  return *std::ranges::lower_bound(sources, step, {}, &Source::step);
}

std::string broadcast_sources(const std::vector<fs::path>& files) {
  Json list = Json::array();
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
  comm.on_root([&] { text = broadcast_sources(files); });
  std::vector<Source> sources;
  for (const Json& s : Json::parse(comm.broadcast(text)))
    sources.push_back({s.at("step"), s.at("path").get<std::string>(), s.at("digest"), s.at("trajectory_hash")});
  std::ranges::sort(sources, [](const Source& a, const Source& b) { return a.step < b.step; });
  return sources;
}

Json describe_average(const AveragingConfig& config, const Average& average, const std::vector<Source>& sources) {
  Json members = Json::array();
  for (const int64_t step : average.members) members.push_back({{"step", step}, {"digest", source_of(sources, step).digest}});
  return {{"scheme", config.scheme == "lawa" ? "sliding" : config.scheme},
          {"window", config.window},
          {"stride", config.stride > 0 || average.members.size() < 2 ? config.stride : average.members[1] - average.members[0]},
          {"members", members}};
}

bool exists_already(const AveragingConfig& config, const Average& average, const std::vector<Source>& sources,
                    const fs::path& destination) {
  const fs::path path = weights_path(destination, average.step);
  if (!fs::exists(path)) return false;
  LAWA_CHECK(config.skip_existing, path.string(), ": exists; choose another destination, or averaging.skip_existing=true");
  if (!fs::exists(record_path(destination, average.step))) return false;  // killed before it was committed
  verify_by_record(path);
  const FlatFileReader reader(path, "weights");
  LAWA_CHECK(reader.header().provenance.value("average", Json()) == describe_average(config, average, sources), path.string(),
             ": exists and is another average (", reader.header().provenance.value("average", Json()).dump().substr(0, 60), "…)");
  return true;
}

void write_average(const Communicator& comm, const AveragingConfig& config, const Average& average,
                   const std::vector<Source>& sources, const fs::path& destination, int64_t chunk_elements) {
  std::vector<FlatFileReader> members;
  comm.together([&] {
    for (const int64_t step : average.members) members.emplace_back(source_of(sources, step).path, "weights");
  });
  FlatHeader header = members.back().header();  // its config and hashes, at its step
  header.git = version().git;
  header.provenance = {{"program", "lawa " + version().number}, {"average", describe_average(config, average, sources)}};
  comm.on_root([&] { fs::create_directories(destination); });
  FlatFileWriter writer(comm, weights_path(destination, average.step), header, {"weights"}, {.fsync = config.fsync});
  comm.together([&] {
    const ShardLayout layout(header.table.size(), comm.rank(), comm.size());
    std::vector<float> values(static_cast<size_t>(std::min(chunk_elements, layout.local_size())));
    Mean mean(values.size());
    for (const auto& piece : layout.mine())
      for (int64_t begin = piece.range.begin; begin < piece.range.end; begin += chunk_elements) {
        const Range some{begin, std::min(begin + chunk_elements, piece.range.end)};
        const std::span<float> part(values.data(), static_cast<size_t>(some.size()));
        for (const FlatFileReader& member : members) {
          member.read("weights", some, part);
          mean.add(part);
        }
        mean.finish(part);
        writer.write("weights", some, part);
      }
  });
  const FileRecord file = writer.commit();
  comm.on_root([&] { write_record(destination, {header.step, header.tokens, header.trajectory_hash, file, {}}); });
}

}  // namespace lawa
