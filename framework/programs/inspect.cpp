#include <cstdio>

#include "checkpoint/commit_record.hpp"
#include "interchange/weights_format.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

/// No key is known here.
struct NoConfig {};
template <class Visitor>
void visit(NoConfig&, Visitor&&) {}

/// Reads all of an array; its digest, or "" where its numbers are stored in several formats. Errors: a block that doesn't verify.
std::string verified_digest(const PlacedFile& file, const std::string& array) {
  OpenFiles open(ByteFile::Mode::read);
  const Places& places = file.places(array);
  if (!places.one_format()) return "";
  return digest_of(PlacedReader(open, file.path, places, file.header.table, array).checksums_of({0, places.size()}));
}

/// Errors: damage anywhere.
Json inspected(const std::filesystem::path& path) {
  const PlacedFile file = format_of(path).open(path);
  Json digests = Json::object();
  for (const auto& [array, places] : file.arrays) digests[array] = verified_digest(file, array);
  Json line = {{"file", path.string()}, {"parameters", file.header.table.size()}};
  if (file.arrays.contains("weights")) {
    const std::string digest = digests[file.digested()];
    LAWA_CHECK(file.digest.empty() || file.digest == digest, path.string(), ": is damaged: its numbers have the digest ", digest, ", and it names ",
               file.digest);
    const Places& places = file.places("weights");
    line.update({{"digest", digest}, {"format", places.one_format() ? name_of(places.format()) : "several"}});
  } else {
    line["digests"] = digests;
  }
  line.update(file.own_words);
  return line;
}

}  // namespace

void inspect_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) {
    if (comm.root())
      std::printf("lawa inspect FILE.h5|FILE.safetensors|MODEL|FOLDER …\nPrints each file's header as one JSON object a line; reads and verifies "
                  "all of it.\n");
    return;
  }
  load_config<NoConfig>(arguments.source);
  LAWA_CHECK(!arguments.places.empty(), "lawa inspect: name files or folders of weights files");
  comm.on_root([&] {
    for (const auto& file : named_weights(arguments.places)) std::printf("%s\n", inspected(file).dump().c_str());
  });
  std::fflush(stdout);
}

std::set<std::string> inspect_keys() { return {}; }

}  // namespace lawa
