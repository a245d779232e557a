// A run's config: a file in TOML, and words of the command line, one a line.
#include <sstream>

#include "fuzz/fuzz.hpp"
#include "train/train_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto files = fuzz::files_of(fuzz::text_of(data, size), 2);
  return fuzz::expect_answer([&] {
    ConfigSource source;
    source.add_toml(files[0], "train.toml");
    std::istringstream words(files[1]);
    for (std::string word; std::getline(words, word);) source.add_override(word);
    const auto config = load_config<TrainConfig>(source);
    ConfigSource again;
    again.add_toml(dump_config(config), "dump.toml");  // which is read back to the same
    LAWA_CHECK(dump_config(load_config<TrainConfig>(again)) == dump_config(config), "the dump of a config is another one");
  });
}

namespace lawa::fuzz {
namespace {

const std::string enough = "run.directory = 'runs/a'\ndata.train = ['train.bin']\ndata.validation = ['val.bin']\n";

}  // namespace

std::vector<std::string> valid_inputs() {
  TrainConfig whole;
  whole.run.directory = "runs/a";
  whole.data.train = {"train.bin"};
  whole.data.validation = {"val.bin"};
  whole.averages = {{}, {.scheme = "ema", .half_life = 0.05, .blend = {0.5, 1}, .exclude = {"wte"}, .evaluate_at = {10, 20}}};
  return {enough + between_files + "optimizer.weight_decay=0.1\nmodel.layers=2\nmodel.heads=2\nmodel.channels=8\nrun.directory=2026", dump_config(whole),
          enough + "[model]\narchitecture = \"gpt_neox\"\nrotary_fraction = 0.5\n[[averages]]\nwindow = 5\n" + between_files + "averages.0.stride=3"};
}

std::vector<std::string> hostile_inputs() {
  std::string lines;
  for (int i = 0; i < 10'000; ++i) lines += concat("a", i, "=1\n");
  return {enough + repeated("a.", 100'000) + "a = 1",
          enough + "[" + repeated("a.", 100'000) + "a]",
          enough + between_files + repeated("a.", 100'000) + "a=1",
          enough + "evaluate.at = [" + repeated("1, ", 40'000) + "1]",
          enough + "evaluate.at = [" + repeated("1, ", 40'000) + "1]  # é",
          enough + lines,
          enough + "run.directory = \"$" + repeated("a", 200'000) + "\"",
          enough + "start.weights = \"" + repeated("${a}", 50'000) + "\"",
          enough + repeated("[[averages]]\n", 10'000),
          enough + "evaluate.at = " + nested_lists(100'000),
          "seed = \"" + repeated("a", 200'000)};
}

}  // namespace lawa::fuzz
