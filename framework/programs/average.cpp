#include "average/averager.hpp"
#include "core/log.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

struct AverageConfig {
  std::vector<std::string> source;
  std::string destination;
  AveragingConfig averaging;
};
template <class Visitor>
void visit(AverageConfig& c, Visitor&& v) {
  v("source", c.source, "run directories, folders of checkpoints, or weights files; positional arguments are added");
  v("destination", c.destination, "folder for the averages, step_….weights.h5");
  v("averaging", c.averaging, "");
}
void check(const AverageConfig& c, const ConfigSource& source) {
  LAWA_CHECK(!c.destination.empty(), "destination", source.where("destination"), ": must name a folder");
}

}  // namespace

void average_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help)
    return print_keys(comm, "lawa average [FILE.toml …] source=RUN destination=FOLDER [key=value …]\nAverages checkpoints; each rank reads its own part of them.",
                      dump_config(AverageConfig(), true));
  auto config = load_config<AverageConfig>(arguments.source);
  config.source.insert(config.source.end(), arguments.places.begin(), arguments.places.end());
  LAWA_CHECK(!config.source.empty(), "source", arguments.source.where("source"), ": must name a run or checkpoints");

  std::vector<std::filesystem::path> files;
  comm.together([&] { files = weights_files(config.source); });
  const std::vector<Source> sources = open_sources(comm, files);
  std::vector<int64_t> steps;
  for (const Source& source : sources) steps.push_back(source.step);
  std::vector<Average> wanted;
  for (const Average& average : averaging_plan(config.averaging, steps)) {
    int64_t exists = 0;
    comm.on_root([&] { exists = exists_already(config.averaging, average, sources, config.destination) ? 1 : 0; });
    if (comm.broadcast(exists) == 0) wanted.push_back(average);
  }

  Log log(comm.root());
  const auto total = std::ssize(wanted);
  for (int64_t done = 0; done < total; ++done) {
    const Average& average = wanted[static_cast<size_t>(done)];
    write_average(comm, config.averaging, average, sources, config.destination);
    log.progress(done + 1, total, "average of " + std::to_string(average.members.size()) + " up to step " + std::to_string(average.step));
  }
  if (total == 0) log.line(config.destination + ": every average is there already");
}

}  // namespace lawa
