#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "average/averager.hpp"
#include "checkpoint/readers_lock.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/stop_request.hpp"
#include "interchange/weights_format.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

struct AverageConfig {
  std::vector<std::string> source;
  std::string destination;
  AveragingConfig averaging;
  SourceOptions sources;
  AveragingOutput output;
};
template <class Visitor>
void visit(AverageConfig& c, Visitor&& v) {
  v("source", c.source, "run directories, folders of checkpoints or models, weights files, or .safetensors files; positional arguments are added",
    a_path());
  v("destination", c.destination, "folder for the averages: step_….weights.h5, or step_…, each a model's folder; of a grid: folders lawa_k005_nu000200 …", a_path());
  v("averaging", c.averaging, "");
  v("averaging", c.sources, "");
  v("averaging", c.output, "");
}

constexpr const char* usage =
    "lawa average [FILE.toml …] [RUN|FOLDER|MODEL|FILE.h5|FILE.safetensors …] destination=FOLDER [key=value …]\n"
    "Averages checkpoints; each rank reads its own part of them, once, whatever the number of averages. One JSON line each on stdout, when its\n"
    "file has got its name; those that are there already come first.\n\n"
    "lawa average --rebuild AVERAGE.h5 source=RUN\n"
    "Makes an average again from the checkpoints that it names and compares the digests; writes nothing.";

std::vector<Source> open_all(const Communicator& comm, const AverageConfig& config, Log& log) {
  return open_sources(comm, named_weights(comm, config.source), config.sources, config.output.missing != "refuse",
                      [&](const std::string& text) { log.line(text); });
}

void print_line(const PlannedFile& file, const std::vector<Source>& sources, const std::string& digest, bool existed) {
  const Json description = describe_average(file, sources);
  Json line = {{"file", file.path.string()}, {"step", description["members"].back()["step"]}, {"scheme", description["scheme"]},
               {"window", description["window"]}, {"stride", description["stride"]}, {"digest", digest}};
  if (existed) line["existed"] = true;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);  // now: the job may be killed
}

/// Moves the files that are there already, and may be left, behind the others; returns how many are to be made. Collective.
size_t missing_first(const Communicator& comm, std::vector<PlannedFile>& files, const std::vector<Source>& sources, bool skip_existing) {
  const Json list = from_root(comm, [&] {  // so that all ranks write the same files
    Json missing = Json::array();
    for (const PlannedFile& file : missing_files(files, sources, skip_existing)) missing.push_back(file.path.string());
    return missing;
  });
  const auto missing = list.get<std::set<std::string>>();
  std::ranges::stable_partition(files, [&](const PlannedFile& file) { return missing.contains(file.path.string()); });
  return missing.size();
}

void average(const Communicator& comm, const AverageConfig& config, const ConfigSource& keys) {
  LAWA_CHECK(!config.destination.empty(), "destination", keys.where("destination"), ": must name a folder");
  LAWA_CHECK(!config.source.empty(), "source", keys.where("source"), ": must name a run or checkpoints");
  const ReadersLock reading(comm, config.source);
  Log log(comm.root());
  const int64_t shard_bytes = max_shard_bytes(config.output);
  const std::vector<Source> sources = open_all(comm, config, log);
  LAWA_CHECK(shard_bytes == 0 || !sources.back().places.files.empty(), "averaging.max_shard_size", keys.where("averaging.max_shard_size"),
             ": is for models' folders; name the folder that ", sources.back().path.string(), " is in");
  auto files = planned_files(config.averaging, planned_averages(config.averaging, sources), sources, config.destination, config.output.precision,
                             config.output.missing);
  FolderLocks locks;
  comm.on_root([&] {
    check_destination(files, config.destination, sources, config.source);
    locks = lock_folders(files, config.destination, LockPatience{.say = [&](const std::string& text) { log.line(text); }});
  });
  const size_t missing = missing_first(comm, files, sources, config.output.skip_existing);
  const std::vector<PlannedFile> kept(files.begin() + static_cast<int64_t>(missing), files.end());
  files.resize(missing);

  if (const std::string text = comm.root() ? companions_text(sources.back().path) : ""; !text.empty()) log.line(text);
  AveragingTotals totals;
  size_t done = 0;
  const auto make = [&] {
    for (const PlannedFile& file : kept) {
      const std::string digest = existing_average(comm, file.path).digest;
      if (comm.root()) print_line(file, sources, digest, true);
    }
    totals = write_averages(comm, config.output, files, sources, log, locks, [&](size_t i, const std::string& digest) {
      ++done;
      if (comm.root()) print_line(files[i], sources, digest, false);
    });
  };
  saying_when_stopped(make, [&] {
    return concat(": of ", kept.size() + files.size(), " averages ", kept.size(), " were there before and ", done,
                  " are written, of the others nothing is kept; averaging.skip_existing=true goes on");
  });
  std::fflush(stdout);
  if (files.empty()) return log.line(config.destination + ": every average is there already");
  log.line("done: read " + bytes_text(static_cast<double>(totals.bytes_read)) + " and wrote " +
           bytes_text(static_cast<double>(totals.bytes_written)) + " of weights");
}

void rebuild(const Communicator& comm, AverageConfig config, const std::vector<std::string>& places) {
  LAWA_CHECK(!places.empty(), "lawa average --rebuild: name an average");
  config.source.insert(config.source.end(), places.begin() + 1, places.end());
  LAWA_CHECK(!config.source.empty(), "source: must name the run or the checkpoints that ", places[0], " was made from");
  Log log(comm.root());
  const ReadersLock reading(comm, config.source);
  const ExistingAverage found = existing_average(comm, places[0]);
  const std::string digest = rebuilt_digest(comm, config.output, found.description, open_all(comm, config, log), places[0], &found.means);
  LAWA_CHECK(digest == found.digest, places[0], ": made again it has the digest ", digest, ", and the file has ", found.digest);
  if (comm.root()) std::printf("%s\n", Json{{"file", places[0]}, {"rebuilt", true}, {"digest", digest}}.dump().c_str());
  std::fflush(stdout);
}

}  // namespace

void average_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) return print_keys(comm, usage, dump_config(AverageConfig(), true));
  auto config = load_config<AverageConfig>(arguments.source);
  check(config.averaging, arguments.source);
  if (arguments.option) return rebuild(comm, config, arguments.places);
  config.source.insert(config.source.end(), arguments.places.begin(), arguments.places.end());
  average(comm, config, arguments.source);
}

std::set<std::string> average_keys() { return keys_of<AverageConfig>(); }

}  // namespace lawa
