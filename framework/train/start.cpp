#include "train/start.hpp"

#include "checkpoint/flat_file.hpp"
#include "checkpoint/run_directory.hpp"
#include "core/byte_file.hpp"

namespace lawa {
namespace fs = std::filesystem;

std::string digest_of_start(const TrainConfig& config, const ConfigSource& source) {
  const fs::path start = config.start.weights.empty() ? config.start.checkpoint : config.start.weights;
  if (start.empty()) return "";
  std::error_code unknown;
  if (fs::status(start, unknown).type() == fs::file_type::not_found)
    if (const std::string known = text_in(provenance_of(config.run.directory), "start_digest"); !known.empty()) return known;
  const PlacedFile file = open_flat_file(start, "weights");
  const int64_t begin = config.start.checkpoint.empty() ? 0 : file.header.step;
  LAWA_CHECK(begin < config.schedule.steps, "schedule.steps", source.where("schedule.steps"), ": ", config.schedule.steps,
             " must be more than the step of start.checkpoint", source.where("start.checkpoint"), ", which is ", begin);
  return file.digest;
}

}  // namespace lawa
