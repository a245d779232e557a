// Safetensors files as weights: tensors of F32, BF16 and F16 are the flat space, by their names; the others are copied.
#pragma once
#include "checkpoint/placed_file.hpp"

namespace lawa {

/// Errors: read_safetensors_header's; no tensor that is averaged; of an average of ours, a header or a copied tensor that isn't what was
/// written.
PlacedFile open_safetensors(const std::filesystem::path& path);

/// WeightsFormat::lay_out and seal. The header names the digest of the numbers, and one of itself and of the copied tensors.
PlacedFile lay_out_safetensors_average(const std::filesystem::path& path, const std::filesystem::path& newest, const Json& description,
                                       NumberFormat numbers);
void seal_safetensors_average(const PlacedFile& laid_out, const std::vector<uint64_t>& checksums, bool durably);

}  // namespace lawa
