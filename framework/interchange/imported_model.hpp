// Weights of any format as a model of this program: files of its own as they are, Hugging Face's by the config.json beside them.
#pragma once
#include "checkpoint/placed_file.hpp"
#include "model/model_config.hpp"

namespace lawa {

/// The switches and sizes of the model that a header's config names. Errors: it names none.
ModelConfig model_of(const FlatHeader& header, const std::filesystem::path& path);

/// Opens weights as those of a model: its tensors by our names and layouts, in our order, wherever their bytes lie, and a config in the header.
/// On one rank. Errors: the format's; no config.json beside safetensors, or read_hugging_face_config's; a tensor that is missing, of another
/// shape, of no float format, there twice, or that the model has no place for (but for known buffers); an lm_head beside tied embeddings that
/// isn't the same; biases that aren't zero where the config says that there are none.
PlacedFile open_model(const std::filesystem::path& path);

}  // namespace lawa
