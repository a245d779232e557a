#include "doctor/page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/log.hpp"
#include "doctor/hosts.hpp"
#include "doctor/words.hpp"

namespace lawa {
namespace {

constexpr size_t most_hosts = 4, most_ranks = 8;  // that the page shows one by one; JSON has all

std::string line(const std::string& name, const std::string& text) {
  constexpr size_t width = 12;
  return name + std::string(width - name.size(), ' ') + text + "\n";
}

std::string gigaflops(double rate) { return concat(std::lround(rate / 1e9)); }

std::string launched(const LaunchFacts& launch) {
  if (launch.launcher.empty()) return "started by itself";
  if (launch.launcher == "slurm") return "in a Slurm allocation, not started by srun";
  const std::string kind = launch.kind.empty() ? "" : " --mpi=" + launch.kind;
  return concat("started by ", launch.launcher, kind, launch.launcher == "srun" ? launch.pmix ? ", with PMIx" : ", without PMIx" : "");
}

/// "104", or "98–105" where ranks differ.
template <class Rate>
std::string spread(const std::vector<RankFacts>& ranks, Rate rate) {
  const auto [low, high] = std::ranges::minmax(ranks, {}, rate);
  const std::string least = gigaflops(low.*rate), most = gigaflops(high.*rate);
  return least == most ? least : least + "–" + most;
}

std::string products(const Facts& facts) {
  const auto& ranks = facts.ranks;
  std::string text = concat("a rank: fp32 ", spread(ranks, &RankFacts::flops_per_second), " GFLOP/s");
  if (ranks.front().bf16_flops_per_second > 0) text += concat(", bf16 ", spread(ranks, &RankFacts::bf16_flops_per_second));
  if (ranks.size() > 1) text += ", all at once";
  if (facts.build.cuda) return text;
  const double least = std::ranges::min_element(ranks, {}, &RankFacts::cpu_share)->cpu_share;
  return concat(text, "; their threads ran ", std::lround(100 * least), " % of the time", ranks.size() > 1 ? " or more" : "");
}

/// "rank 0 on 0-1, rank 1 on 2-3".
std::string binding(const Facts& facts, const Host& host) {
  std::string text;
  for (size_t i = 0; i < std::min(host.ranks.size(), most_ranks); ++i) {
    const RankFacts& rank = facts.ranks[static_cast<size_t>(host.ranks[i])];
    text += concat(i == 0 ? "" : ", ", "rank ", host.ranks[i], " on ", ranges_text({rank.cpus.begin(), rank.cpus.end()}),
                   rank.gpu.empty() ? "" : " and GPU ", rank.gpu);
  }
  return host.ranks.size() > most_ranks ? concat(text, ", … (", host.ranks.size() - most_ranks, " more)") : text;
}

std::string host_lines(const Facts& facts) {
  std::string text;
  const auto hosts = hosts_of(facts.ranks);
  for (size_t i = 0; i < std::min(hosts.size(), most_hosts); ++i) {
    const Host& host = hosts[i];
    const RankFacts& first = facts.ranks[static_cast<size_t>(host.ranks.front())];
    text += line(i == 0 ? "hosts" : "",
                 concat(host.name, ": ", counted(std::ssize(host.ranks), "rank"), " of ", counted(first.threads, "thread"), " on ",
                        counted(std::ssize(host.cores), "core"), " (", binding(facts, host), ")"));
    text += line(
        "", concat(bytes_text(static_cast<double>(first.memory_bytes)), " of memory, ",
                   bytes_text(static_cast<double>(first.shared_memory_bytes)), " free in /dev/shm, ", first.open_files, " open files"));
  }
  if (hosts.size() > most_hosts) text += line("", concat("… (", hosts.size() - most_hosts, " more)"));
  return text;
}

std::string gpus(const Facts& facts) {
  const RankFacts& first = facts.ranks.front();
  const std::string build = facts.build.cuda ? concat("this build has CUDA, and ranks exchange by ", facts.build.device_library)
                                             : "this build computes on the CPU, without CUDA and NCCL";
  const int64_t found = std::max(first.gpus_of_node, first.gpus_visible);
  return concat(found == 0 ? "none" : std::to_string(found), " on ", first.host, "; ", build);
}

std::string hdf5(const Hdf5Facts& facts) {
  const std::string trial = facts.trial_bytes > 0 ? concat("; a checkpoint of ", bytes_text(facts.trial_bytes), " written by all ranks at ",
                                                           rate_text(facts.trial_write_bytes_per_second), ", read and verified")
                                                  : "; no checkpoint was tried";
  return concat(facts.version, facts.parallel ? ", parallel" : ", serial", facts.trial_error.empty() ? trial : "; a checkpoint failed");
}

std::string folder_lines(const FolderFacts& folder) {
  if (!folder.error.empty()) return line("folder", folder.path + ": can't be used");
  const auto granted = [](const std::string& error) { return error.empty() ? "granted" : "refused"; };
  return line("folder", concat(folder.path, ", ", folder.file_system, ", ", bytes_text(static_cast<double>(folder.free_bytes)), " free")) +
         line("", concat("one process writes ", rate_text(folder.write_bytes_per_second), " with fsync, reads ",
                         rate_text(folder.read_bytes_per_second), " (", bytes_text(static_cast<double>(folder.probe_bytes)), ")")) +
         line("", concat("locks: fcntl ", granted(folder.fcntl_error), ", flock ", granted(folder.flock_error), "; times of files are ",
                         std::lround(1000 * std::abs(folder.clock_ahead_seconds)), " ms off rank 0's clock"));
}

const char* name_of(Finding::Severity severity) { return severity == Finding::Severity::error ? "error" : "warning"; }

std::string finding_lines(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += line(name_of(finding.severity), concat(finding.found, " (", finding.name, ")")) + line("", "remedy: " + finding.remedy);
  return text;
}

}  // namespace

int64_t count(const std::vector<Finding>& findings, Finding::Severity severity) {
  return std::ranges::count(findings, severity, &Finding::severity);
}

std::string page(const Facts& facts, const std::vector<Finding>& findings, double seconds) {
  const MpiFacts& mpi = facts.mpi;
  std::string text = line("lawa", concat(facts.build.version, " (", facts.build.git, "), ", facts.build.build));
  text += line("MPI", concat(mpi.library.substr(0, mpi.library.find(',')), "; MPI ", mpi.standard, "; MPI-IO by ", mpi.io));
  const std::string together = mpi.ranks > 1 ? concat(", ", facts.ranks.front().ranks_sharing_memory, " share memory with rank 0") : "";
  text += line("job", concat(counted(mpi.ranks, "rank"), " on ", counted(std::ssize(hosts_of(facts.ranks)), "host"), together, "; ",
                             launched(facts.launch)));
  text += host_lines(facts);
  text += line("GPUs", gpus(facts));
  text += line("products", products(facts));
  text += line("all-reduce", mpi.all_reduce_bytes > 0
                                 ? concat(bytes_text(mpi.all_reduce_bytes), " of float32 at ", rate_text(mpi.all_reduce_bytes_per_second))
                                 : "not measured on one rank");
  text += line("HDF5", hdf5(facts.hdf5));
  text += folder_lines(facts.folder);
  char time[32];
  std::snprintf(time, sizeof time, "%.1f s", seconds);
  const int64_t errors = count(findings, Finding::Severity::error), warnings = count(findings, Finding::Severity::warning);
  text += concat("\n", counted(errors, "error"), ", ", counted(warnings, "warning"), " in ", time, "\n");
  return text + finding_lines(findings);
}

Json report(const Facts& facts, const std::vector<Finding>& findings, double seconds) {
  Json ranks = Json::array(), list = Json::array();
  for (const RankFacts& rank : facts.ranks) ranks.push_back(facts_to_json(rank));
  for (const Finding& finding : findings)
    list.push_back({{"severity", name_of(finding.severity)}, {"name", finding.name}, {"found", finding.found}, {"remedy", finding.remedy}});
  return {{"build", facts_to_json(facts.build)},
          {"launch", facts_to_json(facts.launch)},
          {"mpi", facts_to_json(facts.mpi)},
          {"hdf5", facts_to_json(facts.hdf5)},
          {"folder", facts_to_json(facts.folder)},
          {"ranks", ranks},
          {"findings", list},
          {"errors", count(findings, Finding::Severity::error)},
          {"warnings", count(findings, Finding::Severity::warning)},
          {"seconds", seconds}};
}

}  // namespace lawa
