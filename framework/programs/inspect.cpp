#include <cstdio>

#include "checkpoint/flat_file.hpp"
#include "interchange/safetensors.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

/// No key is known here.
struct NoConfig {};
template <class Visitor>
void visit(NoConfig&, Visitor&&) {}

template <class T>
void verify(const FlatFileReader& reader, const std::string& array) {
  constexpr int64_t chunk = int64_t{1} << 22;
  std::vector<T> values;
  const int64_t size = reader.header().table.size();
  for (int64_t begin = 0; begin < size; begin += chunk) {
    const Range some = intersect({begin, begin + chunk}, {0, size});
    values.resize(static_cast<size_t>(some.size()));
    reader.read(array, some, std::span(values));
  }
}

/// Of a weights file, or of a state file by its name. Errors: a block that doesn't verify.
Json flat_file(const std::filesystem::path& file) {
  const std::string kind = file.string().ends_with(".state.h5") ? "state" : "weights";
  if (kind == "weights") verify_by_record(file);
  const FlatFileReader reader(file, kind);
  Json digests = Json::object();
  for (const std::string& array : reader.arrays()) {
    digests[array] = reader.digest(array);
    if (reader.format(array) == NumberFormat::float64) verify<double>(reader, array);
    else verify<float>(reader, array);
  }
  Json line = {{"file", file.string()}, {"parameters", reader.header().table.size()}};
  if (kind == "weights") line.update({{"digest", digests["weights"]}, {"format", name_of(reader.format("weights"))}});
  else line["digests"] = digests;
  line.update(reader.header().to_json());
  return line;
}

Json safetensors(const std::filesystem::path& file) {
  const SafetensorsHeader header = read_safetensors_header(file);
  Json table = Json::array();
  int64_t elements = 0;
  for (const TensorEntry& tensor : header.tensors) {
    table.push_back({{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}});
    elements += tensor.size();
  }
  return {{"file", file.string()}, {"parameters", elements}, {"table", table}, {"metadata", header.metadata}};
}

}  // namespace

void inspect_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) {
    if (comm.root())
      std::printf("lawa inspect FILE.h5|FILE.safetensors|FOLDER …\nPrints each file's header as one JSON object a line; verifies every block of "
                  "weights and state files.\n");
    return;
  }
  load_config<NoConfig>(arguments.source);
  LAWA_CHECK(!arguments.places.empty(), "lawa inspect: name files or folders of weights files");
  comm.on_root([&] {
    for (const auto& file : weights_files(arguments.places))
      std::printf("%s\n", (file.extension() == ".safetensors" ? safetensors(file) : flat_file(file)).dump().c_str());
  });
  std::fflush(stdout);
}

}  // namespace lawa
