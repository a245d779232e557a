// A folder of a model: its index, and the config that an average's folder gets. Its two files of tensors are as they should be.
#include "interchange/model_folder.hpp"

#include "core/files.hpp"
#include "fuzz/fuzz.hpp"
#include "interchange/safetensors_file.hpp"

namespace lawa::fuzz {
namespace {

const std::string names[] = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};

std::filesystem::path model() {
  static const std::filesystem::path made = [] {
    make_folder(folder() / "model");
    make_folder(folder() / "average");
    for (const std::string& name : names) {
      auto [header, text] = lay_out_safetensors({{.name = name.substr(6, 5), .dtype = "F32", .shape = {3}, .bytes = {}}}, {});
      text.resize(static_cast<size_t>(header.file_bytes));
      write_file(folder() / "model" / name, text, false);
    }
    return folder() / "model";
  }();
  return made;
}

std::string input_of(const std::string& index, const std::string& config) { return index + between_files + config; }
const std::string index_of_both = R"({"metadata": {"total_size": 24, "total_parameters": 6}, "weight_map": {"00001": ")" + names[0] + R"(", "00002": ")" + names[1] + "\"}}";
const std::string a_config = R"({"model_type": "gpt_neox", "torch_dtype": "float16", "text_config": {"dtype": "float32", "layers": [1, 2]}})";

}  // namespace

std::vector<std::string> valid_inputs() { return {input_of(index_of_both, a_config), input_of(index_of_both, "{}"), input_of(index_of_both, "")}; }

std::vector<std::string> hostile_inputs() {
  return {input_of(R"({"metadata": )" + nested_lists(100'000) + R"(, "weight_map": {"00001": "model-00001-of-00002.safetensors"}})", ""),
          input_of(index_of_both, R"({"torch_dtype": "float32", "a": )" + repeated(R"({"a":)", 50'000) + "1" + repeated("}", 50'001)),
          input_of(index_of_both, R"({"dtype": "float32", "a": )" + nested_lists(100'000) + "}"),
          input_of(R"({"weight_map": {"00001": ")" + repeated("a", 5000) + ".safetensors\"}}", "")};
}

}  // namespace lawa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto files = fuzz::files_of(fuzz::text_of(data, size), 2);
  const auto folder = fuzz::model();
  fuzz::put(folder / "model.safetensors.index.json", files[0]);
  fuzz::put(folder / "config.json", files[1]);
  return fuzz::expect_answer([&] {
    open_safetensors(folder);
    index_text(read_model(folder));
    std::filesystem::remove(fuzz::folder() / "average/config.json");
    std::filesystem::remove(fuzz::folder() / "average/model.safetensors.index.json");
    carry_companions(folder, fuzz::folder() / "average", NumberFormat::bfloat16);
  });
}
