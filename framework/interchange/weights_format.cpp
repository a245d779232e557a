#include "interchange/weights_format.hpp"

#include "checkpoint/flat_file.hpp"
#include "core/version.hpp"
#include "interchange/safetensors_file.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

bool has_record(const fs::path& file) {
  const std::string name = file.filename().string();
  return fs::exists(file) && fs::exists(file.parent_path() / (name.substr(0, name.find('.')) + ".json"));
}

PlacedFile lay_out_flat_average(const fs::path& file, const fs::path& newest, const Json& description, NumberFormat numbers) {
  return lay_out_flat_file(file, header_of_average(read_flat_header(newest, "weights"), description), {{"weights", numbers}});
}

void seal_flat_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably) {
  const FlatHeader& header = laid_out.header;
  const FileRecord file = seal_flat_file(laid_out, {{"weights", checksums}}, durably);
  write_record(laid_out.path.parent_path(), {header.step, header.trained_tokens, header.trajectory_hash, file, {}}, durably);
}

constexpr WeightsFormat flat{.ending = ".weights.h5",
                             .open = [](const fs::path& file) { return open_flat_file(file); },
                             .is_committed = has_record,
                             .lay_out = lay_out_flat_average,
                             .seal = seal_flat_average};
constexpr WeightsFormat safetensors{.ending = ".safetensors",
                                    .open = open_safetensors,
                                    .is_committed = [](const fs::path& file) { return fs::exists(file); },
                                    .lay_out = lay_out_safetensors_average,
                                    .seal = seal_safetensors_average};

}  // namespace

FlatHeader header_of_average(FlatHeader newest, const Json& description) {
  Json provenance = {{"program", "lawa " + version().number}, {"average", description}};
  if (newest.provenance.is_object() && newest.provenance.contains("tokenizer")) provenance["tokenizer"] = newest.provenance["tokenizer"];
  newest.git = version().git;
  newest.provenance = provenance;
  return newest;
}

const WeightsFormat& format_of(const fs::path& file) { return file.extension() == safetensors.ending ? safetensors : flat; }

}  // namespace lawa
