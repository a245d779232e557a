// Which of some files comes when, where they don't say it themselves: by the steps in their names, else by their order.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lawa {

struct FileOrder {
  std::vector<int64_t> steps;      ///< of each file; all are different, unless several may have one
  bool by_place = false;           ///< they are places, 1, 2, …
  std::string how{};               ///< where they aren't the steps that the names say: what they are, for people
  std::optional<size_t> newest{};  ///< the file that names no step, and counts as the newest by its name ("final")
};

/// The folders that all files have in common say nothing. In what is left of their paths:
///   by number    all files name a step, else tokens, else epochs (steps_in_names.hpp; 1 more where an epoch 0 is among them: it was
///                trained), and no two the same one. One that names none and is called "final" or "last", or lies as "model" in a
///                folder above all others, is one step behind the newest.
///   by place     no file names one: places 1, 2, … in the list. A list in the shell's order (sorted as text) is put into natural order,
///                model2 before model10.
/// `as_listed`: places in the list in any case. `may_share`: files of several runs may name the same step. Errors, with the remedy: only some files name a step; two name the same one and the list
/// isn't in the order of their steps; the list is in neither order, and contradicts the numbers in names that are alike otherwise.
FileOrder order_of(const std::vector<std::filesystem::path>& files, bool as_listed = false, bool may_share = false);

}  // namespace lawa
