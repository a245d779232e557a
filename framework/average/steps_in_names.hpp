// The step that a file's name says: "step1000", "epoch=3-step=300", "ckpt_100", "ep8-ba100", "model_100_steps", "step_9k".
//
// A name is a path, and its folders count too: "checkpoint-500/model.safetensors". Letters may be small or capital. The rules, of which an
// earlier one counts more, and within one the last place in the path:
//   step, steps, iter, iteration, update, ba, global_step and a number    step=300, iter_0000100, ep8-ba100, Step_100
//   a number and one of these words                                       rl_model_100_steps, 100k-iters
//   checkpoint, ckpt, chkpt, ckp and a number; of two the second one      checkpoint-500, ckpt_100, checkpoint_3_5000
//   model, weights, params, snapshot, a separator, and a number           model_100
//   nothing but a number, as the file's or its folder's whole name        0000001000/model.safetensors
// A number is digits, with k or M behind them or not ("9k", "1.5M"; only k behind model: "model_125M" is its size). It isn't a part of a
// fraction (model-0.5), of a shard's name (model-00001-of-00004) or of a limit (max_steps=500). Tokens and samples are counted by
// the words tokens and samples (tokens4B), epochs by epoch and ep (epoch=3).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lawa {

/// What a number in a name counts.
enum class Counted { steps, tokens, epochs };

/// The number in a path; nothing where it names none.
std::optional<int64_t> number_in(const std::filesystem::path& path, Counted counted);

/// The step that a single model's name says: its own, or that of the folder that it is in; else 0.
int64_t step_of_model(const std::filesystem::path& path);

/// The file's name or its folder's says that nothing comes later: "final", "last", "latest" or "end" is a word of it.
bool says_newest(const std::filesystem::path& path);

/// A path with # for each number: where two have the same pattern, their numbers are to be compared.
std::string pattern_of(const std::filesystem::path& path);

}  // namespace lawa
