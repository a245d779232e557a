// The folder of a run that is gone on with: its provenance.json and metrics.jsonl, and what becomes of the metrics' lines.
#include "checkpoint/run_directory.hpp"

#include "core/error.hpp"
#include "core/files.hpp"
#include "fuzz/fuzz.hpp"
#include "train/stop_rule.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  fuzz::start_ranks();
  static const Communicator comm = Communicator::world();
  static const TrainConfig config = [] {
    TrainConfig stops;
    stops.stop.patience = 1;
    return stops;
  }();
  const auto files = fuzz::files_of(fuzz::text_of(data, size), 2);
  const auto run = fuzz::folder() / "run";
  std::filesystem::remove_all(run);
  make_folder(run);
  fuzz::put(run / "provenance.json", files[0]);
  fuzz::put(run / "metrics.jsonl", files[1]);
  return fuzz::expect_answer([&] {
    const RunDirectory directory(comm, run, "0123456789abcdef");
    directory.cut_metrics(20, true);
    directory.metrics("train");
    StopRule(config).restart(comm, directory.metrics("evaluate"));
  });
}

namespace lawa::fuzz {

std::vector<std::string> valid_inputs() {
  start_ranks();  // whose seconds are nobody's input's
  const std::string provenance = R"({"program": "test", "trajectory_hash": "0123456789abcdef"})";
  return {provenance + between_files + R"({"kind":"train","step":10,"loss":1.5})" "\n" R"({"kind":"evaluate","step":20,"model":"plain","loss":null})" "\n",
          provenance + between_files + R"x({"kind":"evaluate","step":5,"model":"lawa(k=5,nu=1)","evaluated_at":10,"loss":2.5,"average":{"members":[1]}})x" "\n"
                                       R"({"kind":"evaluate","step":1000,"model":"plain","loss":2})" "\n" R"({"kind":"tra)"};
}

std::vector<std::string> hostile_inputs() {
  const std::string provenance = R"({"trajectory_hash": "0123456789abcdef"})";
  return {nested_lists(100'000) + between_files, provenance + between_files + nested_lists(100'000) + "\n",
          R"({"trajectory_hash": "0123456789abcdef", "a": )" + nested_lists(100'000) + "}" + between_files,
          provenance + between_files + R"({"kind":"evaluate","step":5,"model":"plain","loss":)" + nested_lists(100'000) + "}\n",
          R"({"trajectory_hash": ")" + repeated("a", 200'000) + "\"}" + between_files};
}

}  // namespace lawa::fuzz
