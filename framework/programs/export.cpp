#include <cstdio>

#include "average/average_files.hpp"
#include "average/copied_weights.hpp"
#include "checkpoint/readers_lock.hpp"
#include "checkpoint/run_directory.hpp"
#include "checkpoint/shard_file.hpp"
#include "core/files.hpp"
#include "interchange/exported_model.hpp"
#include "interchange/imported_model.hpp"
#include "interchange/weights_format.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

struct ExportKeys {
  std::string precision = "stored", max_shard_size = "5GB", companions = "";
};
template <class Visitor>
void visit(ExportKeys& c, Visitor&& v) {
  v("precision", c.precision, "stored (as the file has it), fp32, bf16 or fp16", one_of({"stored", "fp32", "bf16", "fp16"}));
  v("max_shard_size", c.max_shard_size, "the most bytes of a safetensors file; of several there is an index");
  v("companions", c.companions, "a folder whose tokenizer and other small files come along; \"\": the one that the weights were imported from", a_path());
}
struct ExportConfig {
  ExportKeys keys;
};
template <class Visitor>
void visit(ExportConfig& c, Visitor&& v) {
  v("export", c.keys, "");
}

constexpr const char* usage =
    "lawa export FILE.weights.h5 hf:FOLDER [key=value …]\n"
    "Makes a new folder that transformers loads: AutoModelForCausalLM.from_pretrained(\"FOLDER\"). It holds safetensors, config.json, and the\n"
    "tokenizer where one is known. FILE may be a checkpoint, an average, or another such folder. A model without biases gets biases of zero, and\n"
    "\"bias\": false in config.json, by which lawa import knows it.";

/// The folder whose small files come along; none where none is known, or it isn't there any more.
std::optional<fs::path> companions_of(const ExportConfig& config, const ConfigSource& keys, const FlatHeader& header, Log& log) {
  const std::string& given = config.keys.companions;
  if (!given.empty()) {
    LAWA_CHECK(fs::is_directory(given), "export.companions", keys.where("export.companions"), ": ", given, ": isn't a folder");
    return given;
  }
  if (!header.provenance.is_object() || !header.provenance.contains("imported")) return {};
  const std::string from = text_in(header.provenance["imported"], "from");
  if (fs::is_directory(from)) return from;
  log.line(from + ": isn't there any more; export.companions=FOLDER names another one with the tokenizer");
  return {};
}

}  // namespace

void export_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) return print_keys(comm, usage, dump_config(ExportConfig(), true));
  const auto config = load_config<ExportConfig>(arguments.source);
  LAWA_CHECK(arguments.places.size() == 2, "lawa export: name a weights file, and the folder that is to be made: lawa export FILE.weights.h5 hf:FOLDER");
  const fs::path from = arguments.places[0], to = (fs::path(arguments.places[1]) / "").parent_path();
  const ReadersLock reading(comm, {from.string()});
  Log log(comm.root());
  const PlacedFile source = open_on_root(comm, [&] {
    LAWA_CHECK(!fs::exists(to), to.string(), ": exists; choose another name");
    return open_model(from);
  });
  const NumberFormat format = config.keys.precision == "stored" ? format_for(source.places("weights")) : format_of_precision(config.keys.precision);
  const PartGuard part(to, comm.root());
  const PlacedFile folder = open_on_root(comm, [&] {
    const auto companions = companions_of(config, arguments.source, source.header, log);
    if (companions) log.line(companions->string() + ": " + companions_text(*companions));
    return lay_out_export(to, {source.header, format, bytes_named(config.keys.max_shard_size, "export.max_shard_size"), companions});
  });
  const auto sums = copy_weights(comm, source, to, folder.places("weights"), "export.precision", log);
  comm.on_root([&] {
    commit_file(to);
    const Json line = {{"folder", to.string()}, {"from", from.string()}, {"step", source.header.step}, {"files", folder.places("weights").files.size()},
                       {"format", name_of(format)}, {"digest", digest_of(sums)}};
    std::printf("%s\n", line.dump().c_str());
  });
  std::fflush(stdout);
}

std::set<std::string> export_keys() { return keys_of<ExportConfig>(); }

}  // namespace lawa
