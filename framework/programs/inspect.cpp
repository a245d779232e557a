#include <cstdio>

#include "checkpoint/flat_file.hpp"
#include "programs/arguments.hpp"

namespace lawa {
namespace {

/// No key is known here.
struct NoConfig {};
template <class Visitor>
void visit(NoConfig&, Visitor&&) {}

}  // namespace

void inspect_command(const Communicator& comm, const Arguments& arguments) {
  if (arguments.help) {
    if (comm.root()) std::printf("lawa inspect FILE.h5|FOLDER …\nPrints each weights file's header as one JSON object a line; verifies every block.\n");
    return;
  }
  load_config<NoConfig>(arguments.source);
  LAWA_CHECK(!arguments.places.empty(), "lawa inspect: name weights files or folders of them");
  comm.on_root([&] {
    for (const auto& file : weights_files(arguments.places)) {
      verify_by_record(file);
      const FlatFileReader reader(file, "weights");
      Json header = {{"file", file.string()}, {"parameters", reader.header().table.size()}, {"digest", reader.digest("weights")}};
      header.update(reader.header().to_json());
      std::vector<float> values;
      constexpr int64_t chunk = int64_t{1} << 22;
      for (int64_t begin = 0; begin < reader.header().table.size(); begin += chunk) {
        const Range some = intersect({begin, begin + chunk}, {0, reader.header().table.size()});
        values.resize(static_cast<size_t>(some.size()));
        reader.read("weights", some, values);
      }
      std::printf("%s\n", header.dump().c_str());
    }
  });
  std::fflush(stdout);
}

}  // namespace lawa
