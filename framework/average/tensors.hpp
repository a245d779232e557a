// Which tensors of some checkpoints are averaged, and what becomes of the others.
#pragma once
#include "average/sources.hpp"
#include "core/log.hpp"

namespace lawa {

/// Errors: two files don't hold the same tensors; names both and the tensor.
void check_same_tensors(const PlacedFile& file, const PlacedFile& first);

struct OpenedSource {
  PlacedFile file;
  std::vector<std::string> partial{};  ///< tensors that not all files hold
};
/// For files that needn't hold the same tensors: makes those that all hold the ones of each. Errors: one of a name has another shape, or can
/// be averaged in one file only; no file's floats are in all others.
void take_common_tensors(std::vector<OpenedSource>& opened);

/// Decides what becomes of tensors that can't be averaged, and of those that needn't be and would lose digits. Collective.
/// - Floats that are the same in all sources and that `numbers` doesn't hold exactly are no longer among the sources' tensors: an average
///   has copies of them, as of all that isn't averaged.
/// - Integers that differ: each average has its newest member's; said in a line. Errors: other tensors that differ and can't be averaged.
/// Each byte that is looked at is read by one rank; of tensors that differ, that is mostly their first 4096.
void choose_tensors(const Communicator& comm, std::vector<Source>& sources, NumberFormat numbers, Log& log);

/// Makes the sources' tensors those of a table. Errors: one lacks some; names it.
void take_tensors(std::vector<Source>& sources, const ParameterTable& table);

/// True when a tensor that is averaged has the same bytes in all sources, of which there are several. For this rank alone.
bool is_same_in_all(const std::vector<const Source*>& sources, const std::string& tensor);

}  // namespace lawa
