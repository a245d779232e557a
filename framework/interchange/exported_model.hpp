// A model of this program in the making as transformers' folder: safetensors, their index, config.json, and the small files of another one.
#pragma once
#include <optional>

#include "checkpoint/placed_file.hpp"

namespace lawa {

struct WantedExport {
  const FlatHeader& header;       ///< of the weights that go there: whose model it is
  NumberFormat numbers = NumberFormat::float32;
  int64_t max_shard_bytes = 0;    ///< of a file
  std::optional<std::filesystem::path> companions{};  ///< a folder whose tokenizer and other small files come along
};

/// Creates part_of(path) with everything but the numbers: biases that the model doesn't have are zeros. On one rank. Returns the places of the
/// weights in our order. Where the companions' config.json is of the same model, it comes along too, but for the numbers' format. commit_file
/// gives the folder its name. Errors: hugging_face_config's; a full disk, say; then nothing stays.
PlacedFile lay_out_export(const std::filesystem::path& path, const WantedExport& wanted);

}  // namespace lawa
