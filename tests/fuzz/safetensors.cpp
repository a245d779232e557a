// The header of a safetensors file, and what the header of an average of ours says of it.
#include "interchange/safetensors.hpp"

#include "checkpoint/placed_file.hpp"
#include "core/files.hpp"
#include "fuzz/fuzz.hpp"
#include "interchange/safetensors_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto path = fuzz::put("model.safetensors", fuzz::text_of(data, size));
  return fuzz::expect_answer([&] {
    const PlacedFile file = open_safetensors(path);
    OpenFiles open(ByteFile::Mode::read);
    std::vector<float> numbers(static_cast<size_t>(std::min<int64_t>(file.header.table.size(), 4096)));
    PlacedReader(open, path, file.places("weights"), file.header.table).read({0, std::ssize(numbers)}, numbers);
  });
}

namespace lawa::fuzz {
namespace {

/// The tensors' numbers are zeros.
std::string file_of(const std::vector<TensorEntry>& tensors, const std::map<std::string, std::string>& metadata) {
  auto [header, text] = lay_out_safetensors(tensors, metadata);
  text.resize(static_cast<size_t>(header.file_bytes));
  return text;
}
std::string with_header(const std::string& json) {
  uint64_t size = json.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + json;
}

/// A writer's own average: its header names the digest of the rest, which the second laying out fills in.
std::string average() {
  const auto newest = put("newest.safetensors", file_of({{.name = "a", .dtype = "F32", .shape = {3, 5}, .bytes = {}}, {.name = "n", .dtype = "I64", .shape = {2}, .bytes = {}}}, {}));
  ParameterTable table;
  table.add({.name = "a", .shape = {3, 5}});
  const auto path = folder() / "average.safetensors";
  const WantedAverage wanted{.newest = newest, .description = {{"scheme", "lawa"}, {"members", Json::array()}}, .numbers = NumberFormat::float32, .table = table};
  lay_out_safetensors_average(path, wanted);
  return read_file(part_of(path));
}

}  // namespace

std::vector<std::string> valid_inputs() {
  return {file_of({{.name = "a", .dtype = "F32", .shape = {3, 5}, .bytes = {}}}, {}),
          file_of({{.name = "wte", .dtype = "BF16", .shape = {7, 2}, .bytes = {}}, {.name = "scalar", .dtype = "F64", .shape = {}, .bytes = {}},
                   {.name = "mask", .dtype = "BOOL", .shape = {9}, .bytes = {}}, {.name = "none", .dtype = "F16", .shape = {0, 4}, .bytes = {}}},
                  {{"format", "pt"}, {"step", "300"}}),
          average()};
}

std::vector<std::string> hostile_inputs() {
  std::string many = "{";
  for (int i = 0; i < 5000; ++i) many += "\"t" + std::to_string(i) + R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)";
  return {with_header(R"({"a":{"dtype":"F32","shape":)" + nested_lists(100'000) + R"(,"data_offsets":[0,0]}})"),
          with_header(many + R"("__metadata__":{"lawa.average":")" + repeated("[", 100'000) + R"("}})"), with_header(repeated("{\"a\":", 50'000))};
}

}  // namespace lawa::fuzz
