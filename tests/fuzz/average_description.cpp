// What an average's file says of the average that it holds.
#include "average/average_files.hpp"
#include "core/error.hpp"
#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  return fuzz::expect_answer([&] {
    const Json description = in_todays_words(parsed_json(fuzz::text_of(data, size), "average"));
    const PlannedFile file = described_average(description, "average.safetensors");
    file.average.uniform();
    format_of_precision(file.precision);
  });
}

namespace lawa::fuzz {
namespace {

Json members(size_t count) {
  Json list = Json::array();
  for (size_t i = 1; i <= count; ++i) list.push_back({{"step", 10 * i}, {"weight", 0.5 * static_cast<double>(i)}, {"digest", "0123456789abcdef"}});
  return list;
}

}  // namespace

std::vector<std::string> valid_inputs() {
  Json lawa = describe({.scheme = Scheme::lawa, .window = 3, .stride = 10}, 3), ema = describe({.scheme = Scheme::ema, .stride = 10, .beta = 0.9}, 5);
  lawa["members"] = members(3);
  ema["members"] = members(5);
  ema["precision"] = "bf16";
  return {lawa.dump(), ema.dump(2)};
}

std::vector<std::string> hostile_inputs() {
  return {R"({"scheme": "lawa", "members": )" + nested_lists(100'000) + "}", R"({"scheme": ")" + repeated("l", 200'000) + R"(", "members": []})",
          R"({"scheme": "lawa", "members": [)" + repeated(R"({"step": 1, "weight": 1},)", 10'000) + R"({"step": 1, "weight": 1}]})"};
}

}  // namespace lawa::fuzz
