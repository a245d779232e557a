#include <cstdio>

#include "core/timer.hpp"
#include "doctor/launch.hpp"
#include "doctor/measure.hpp"
#include "doctor/page.hpp"
#include "doctor/words.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

struct DoctorConfig {
  int64_t probe_bytes = int64_t{256} << 20;
  double probe_seconds = 3;
  Thresholds thresholds;
};
template <class Visitor>
void visit(DoctorConfig& c, Visitor&& v) {
  v("probe_bytes", c.probe_bytes, "bytes that are written to DIRECTORY at most, to measure it", at_least(65536));
  v("probe_seconds", c.probe_seconds, "seconds that this may take, about", positive());
  visit(c.thresholds, v);
}

constexpr const char* usage =
    "lawa doctor [DIRECTORY] [--json] [key=value …]\n"
    "Is this machine set up right? Looks at MPI and how it was started, ranks, cores, threads, GPUs, HDF5, and at DIRECTORY (.), where runs\n"
    "would lie. Start it as you would start training: under mpirun or srun, on as many ranks. It leaves nothing in DIRECTORY.\n"
    "Prints a page on stdout, or with --json one object; each problem with its remedy.\n"
    "Exit codes: 0 without errors (warnings may be there), 1 with at least one.";

/// Of several jobs of one rank that a launcher has started in place of one job, the first one speaks.
bool another_speaks(const Communicator& comm, const LaunchFacts& launch) {
  return comm.size() == 1 && launch.rank > 0 && launch.launcher != "slurm";
}

}  // namespace

bool doctor_has_key(const std::string& key) { return has_key<DoctorConfig>(key); }

void doctor_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) return print_keys(comm, usage, dump_config(DoctorConfig(), true));
  const Stopwatch clock;
  const auto config = load_config<DoctorConfig>(arguments.source);
  LAWA_CHECK(arguments.places.size() <= 1, "lawa doctor: takes one folder, not ", arguments.places.size());
  const LaunchFacts launch = launch_facts(initial_environment());
  if (another_speaks(comm, launch)) return;
  const std::string folder = arguments.places.empty() ? "." : arguments.places.front();
  const Facts facts = measured_facts(comm, launch, folder, {config.probe_bytes, config.probe_seconds});
  int64_t errors = 0;
  if (comm.root()) {
    const auto found = findings(facts, config.thresholds);
    errors = count(found, Finding::Severity::error);
    const std::string text = arguments.option ? report(facts, found, clock.seconds()).dump() + "\n" : page(facts, found, clock.seconds());
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }
  errors = comm.broadcast(errors);
  LAWA_CHECK(errors == 0, "lawa doctor found ", counted(errors, "error"), ": see the remedies");
}

}  // namespace lawa
