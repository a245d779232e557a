// Safetensors files, and folders of them, as weights: tensors of floats are the flat space, by their names; the others are copied.
#pragma once
#include "interchange/weights_format.hpp"

namespace lawa {

/// Errors: read_model's; no tensor that can be averaged; of an average of ours, a header or a copied tensor that isn't what was written.
PlacedFile open_safetensors(const std::filesystem::path& path);

/// WeightsFormat::lay_out and seal. The header (of the first file) names the digest of the numbers, and one of all headers and of the
/// tensors that are copied. A folder is written as <path>.part and renamed: it is there as a whole or not at all.
PlacedFile lay_out_safetensors_average(const std::filesystem::path& path, const WantedAverage& wanted);
void seal_safetensors_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably);

}  // namespace lawa
