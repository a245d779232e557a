#include <algorithm>
#include <cstdio>

#include "average/average_files.hpp"
#include "average/copied_weights.hpp"
#include "average/steps_in_names.hpp"
#include "checkpoint/flat_file.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/files.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/weights_format.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

struct ImportKeys {
  std::string precision = "stored";
  int64_t step = -1;
};
template <class Visitor>
void visit(ImportKeys& c, Visitor&& v) {
  v("precision", c.precision, "stored (as there; fp32 where that is in several formats, or float64), fp32, bf16 or fp16", one_of({"stored", "fp32", "bf16", "fp16"}));
  v("step", c.step, "of one model; -1: that in its name, or 0", at_least(-1));
}
struct ImportConfig {
  ImportKeys keys;
};
template <class Visitor>
void visit(ImportConfig& c, Visitor&& v) {
  v("import", c.keys, "");
}

constexpr const char* usage =
    "lawa import hf:MODEL FILE.weights.h5 [key=value …]\n"
    "Makes a weights file of this program from a GPT-2 or GPT-NeoX as transformers saves it: a folder with config.json and safetensors. A line\n"
    "on stdout says what it is. Its numbers keep their bits; what the architecture can't hold is refused by name.\n\n"
    "lawa import hf:MODEL … FOLDER [key=value …]\n"
    "The same for several models, or folders of them: FOLDER/step_….weights.h5, by the steps in their names.\n\n"
    "lawa evaluate, average and inspect take such folders as they are.";

/// One model, and the file that it becomes.
struct Import {
  fs::path from, to;
  int64_t step;
};

bool is_file(const fs::path& path) { return path.filename().string().ends_with(".weights.h5"); }

std::vector<Import> planned(const Communicator& comm, const ImportConfig& config, const std::vector<std::string>& places, const ConfigSource& keys, Log& log) {
  LAWA_CHECK(places.size() >= 2, "lawa import: name a model's folder, and the file that it is to become: lawa import hf:MODEL FILE.weights.h5");
  const fs::path to = places.back();
  const std::vector<fs::path> models = named_weights(comm, std::vector<std::string>(places.begin(), places.end() - 1));
  if (is_file(to)) {
    LAWA_CHECK(models.size() == 1, to.string(), ": is one file for ", models.size(), " models; name a folder");
    return {{models[0], to, config.keys.step >= 0 ? config.keys.step : step_of_model(models[0])}};
  }
  LAWA_CHECK(config.keys.step < 0, "import.step", keys.where("import.step"), ": is of one model that becomes FILE.weights.h5");
  std::vector<Import> imports;
  for (const Source& source : open_sources(comm, models, {.as_models = true}, false, [&](const std::string& text) { log.line(text); }))
    imports.push_back({source.path, weights_path(to, source.own_step()), source.own_step()});
  return imports;
}

Json import_model(const Communicator& comm, const Import& one, const std::string& precision, Log& log) {
  PlacedFile source = open_on_root(comm, [&] { return open_model(one.from); });
  source.header.step = one.step;
  const NumberFormat format = precision == "stored" ? format_for(source.places("weights")) : format_of_precision(precision);
  const PartGuard part(one.to, comm.root());
  const PlacedFile file = open_on_root(comm, [&] {
    if (one.to.has_parent_path()) make_folder(one.to.parent_path());
    return lay_out_flat_file(one.to, source.header, {{"weights", format}});
  });
  const auto sums = copy_weights(comm, source, one.to, file.places("weights"), "import.precision", log);
  comm.on_root([&] {
    const FileRecord record = seal_flat_file(file, {{"weights", sums}}, true);
    if (one.to.filename() == weights_path("", one.step)) write_record(one.to.parent_path(), {one.step, 0, "", record, {}});
  });
  return {{"file", one.to.string()}, {"from", one.from.string()}, {"step", one.step}, {"parameters", file.header.table.size()}, {"format", name_of(format)},
          {"digest", digest_of(sums)}};
}

}  // namespace

void import_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) return print_keys(comm, usage, dump_config(ImportConfig(), true));
  const auto config = load_config<ImportConfig>(arguments.source);
  Log log(comm.root());
  const std::vector<Import> imports = planned(comm, config, arguments.places, arguments.source, log);
  comm.on_root([&] {
    for (const Import& one : imports) LAWA_CHECK(!fs::exists(one.to), one.to.string(), ": exists; choose another name");
  });
  for (const Import& one : imports) {
    const Json line = import_model(comm, one, config.keys.precision, log);
    if (comm.root()) std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  }
}

std::set<std::string> import_keys() { return keys_of<ImportConfig>(); }

}  // namespace lawa
