// What the header of a file of ours says, with a digest that fits it: its table of tensors, what it was made from, its config. The rest of
// the file is as it should be.
#include "checkpoint/flat_file.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "fuzz/fuzz.hpp"

namespace lawa::fuzz {
namespace {

constexpr size_t room = size_t{1} << 16;  // of each text; HDF5 doesn't count the zeros behind a shorter one

FlatHeader usual_header() {
  FlatHeader header{.kind = "state", .step = 20, .trained_tokens = 1920, .trajectory_hash = "0123456789abcdef", .config_hash = "fedcba", .git = "unknown"};
  header.table.add({.name = "wte", .shape = {3, 5}, .decay = true});
  header.table.add({.name = "ln", .shape = {5}});
  header.config = "seed = 1\n";
  header.provenance = {{"program", "test"}, {"averages", {{"swa(nu=1)", {{"snapshots", 2}}}}}};
  return header;
}

/// A file whose texts have all the room that there is, and where they and their digest are.
struct Template {
  std::string bytes;
  size_t table = 0, provenance = 0, config = 0, digest = 0;
};

const Template& file_template() {
  static const Template made = [] {
    FlatHeader header = usual_header();
    header.table = {};
    const std::string around = R"([{"name":"","shape":[20],"offset":0,"decay":false}])";
    header.table.add({.name = repeated("t", room - around.size()), .shape = {20}});
    header.provenance = repeated("p", room - 2);
    header.config = repeated("c", room);
    const auto path = folder() / "template.state.h5";
    seal_flat_file(lay_out_flat_file(path, header, {{"m"}}), {{"m", block_checksums(std::vector<std::byte>(80), NumberFormat::float32)}}, false);
    Template file{.bytes = read_file(path)};
    file.table = file.bytes.find("[{\"name\":\"ttt");
    file.provenance = file.bytes.find("\"ppp");
    file.config = file.bytes.find("ccc");
    file.digest = file.bytes.find(hash128(header.to_json().dump()));
    return file;
  }();
  return made;
}

/// The digest that fits such texts; "" where they can't be read at all.
std::string digest_of_texts(const std::string& table, const std::string& provenance, const std::string& config) {
  FlatHeader header = usual_header();
  try {
    header.table = ParameterTable::from_json(parsed_json(table, "table"), "table");
    header.provenance = parsed_json(provenance, "provenance");
    header.config = config;
    return hash128(header.to_json().dump());
  } catch (const std::exception&) {
    return "";
  }
}

/// The file with these texts.
std::string file_of(const std::vector<std::string>& texts) {
  std::string bytes = file_template().bytes;
  const auto put_text = [&](size_t at, std::string text) {
    text.resize(room);
    bytes.replace(at, room, text);
  };
  put_text(file_template().table, texts[0]);
  put_text(file_template().provenance, texts[1]);
  put_text(file_template().config, texts[2]);
  const std::string digest = digest_of_texts(texts[0], texts[1], texts[2]);
  return bytes.replace(file_template().digest, digest.size(), digest);
}

std::string input_of(const std::string& table, const std::string& provenance, const std::string& config) {
  return table + between_files + provenance + between_files + config;
}

}  // namespace

std::vector<std::string> valid_inputs() {
  const FlatHeader header = usual_header();
  return {input_of(header.table.to_json().dump(), header.provenance.dump(), header.config), input_of(header.table.to_json().dump(), "null", "")};
}

std::vector<std::string> hostile_inputs() {
  const std::string table = usual_header().table.to_json().dump();
  const std::string deep = R"({"average":)" + repeated(R"({"a":)", room / 7) + "1" + repeated("}", room / 7) + "}";
  return {input_of(nested_lists(room / 2), "null", ""), input_of(table, nested_lists(room / 2), ""), input_of(table, deep, ""),
          input_of(R"([{"name":"a","shape":)" + nested_lists(room / 3) + R"(,"offset":0,"decay":true}])", "null", ""),
          input_of(R"([{"name":"a","shape":[20],"offset":)" + nested_lists(room / 3) + R"(,"decay":true}])", "null", ""),
          input_of(R"([{"name":"a","shape":[)" + repeated("1,", room / 3) + R"(20],"offset":0,"decay":true}])", "null", "")};
}

}  // namespace lawa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto path = fuzz::put("step_00000020.state.h5", fuzz::file_of(fuzz::files_of(fuzz::text_of(data, size), 3)));
  return fuzz::expect_answer([&] {
    const PlacedFile file = open_flat_file(path);
    file.own_words.dump();
  });
}
