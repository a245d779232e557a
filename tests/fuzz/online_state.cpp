// What a state file's header says of the averages that a run keeps. Of the arrays, those of steps 2, 4, … 20 are there.
#include "average/online.hpp"
#include "core/error.hpp"
#include "fuzz/fuzz.hpp"

namespace lawa::fuzz {
namespace {

constexpr int64_t size = 20;

OnlineAverages averages() {
  return {{{.window = 3, .stride = 2}, {.scheme = "swa", .stride = 5}, {.scheme = "ema"}}, ShardLayout(size, 0, 1)};
}

/// Stands for the file.
void read(const std::vector<ShardArray>& arrays) {
  const std::string prefix = "averages/snapshots/step_";
  for (const ShardArray& array : arrays) {
    if (!array.name.starts_with(prefix)) continue;
    const int64_t step = std::stoll(array.name.substr(prefix.size()));
    LAWA_CHECK(step > 0 && step <= 20 && step % 2 == 0, "has no array ", array.name);
  }
}

}  // namespace

std::vector<std::string> valid_inputs() {
  start_ranks();
  std::vector<std::string> descriptions;
  OnlineAverages kept = averages();
  const Vector<float> weights = zeros<float>("weights", ShardLayout(size, 0, 1).local_size());
  for (int64_t step = 1; step <= 20; ++step) {
    if (step % 6 == 1) descriptions.push_back(kept.description().dump());
    kept.observe(Exec(), step, weights);
  }
  return descriptions;
}

std::vector<std::string> hostile_inputs() {
  const auto with_members = [](const std::string& members) {
    return R"x({"lawa(k=3,nu=2)": {"snapshots": 3, "oldest": 2, "newest": 6, "members": )x" + members + "}}";
  };
  return {with_members(nested_lists(100'000)), with_members("[]"), with_members("[2]"), with_members(concat("[", repeated("2,", 50'000), "2]")), nested_lists(100'000)};
}

}  // namespace lawa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  fuzz::start_ranks();
  static const int64_t local_size = ShardLayout(fuzz::size, 0, 1).local_size();
  static const Vector<float> weights = zeros<float>("weights", local_size), out = zeros<float>("out", local_size);
  return fuzz::expect_answer([&] {
    OnlineAverages averages = fuzz::averages();
    averages.restore(parsed_json(fuzz::text_of(data, size), "averages"), fuzz::read);
    for (const int64_t step : {0, 22}) {
      if (step > 0) averages.observe(Exec(), step, weights);
      for (size_t i = 0; i < averages.size(); ++i)
        if (averages.step(i) > 0) averages.average(Exec(), i, out);
    }
    averages.description().dump();
  });
}
