// What an average is, and what it is called: the same words offline and inside a run.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.hpp"

namespace lawa {

/// The schemes; averaging_plan.hpp says what each one makes of checkpoints. Inside a run there are lawa, swa and ema.
enum class Scheme { lawa, tumbling, lawa_released, swa, ema, linear, one_minus_sqrt, curve, weights };

/// The schemes' names in the enum's order: "lawa", "tumbling", …, "1-sqrt", ….
const std::vector<std::string>& scheme_names();
const std::string& name(Scheme scheme);
/// The scheme of that name; "sliding" is lawa as well. Errors: none has it; names `place` and all that there are.
Scheme scheme_of(const std::string& word, const std::string& place);
/// An average holds a fixed number of snapshots; swa and ema grow with every one.
bool has_window(Scheme scheme);

/// One average: the scheme, which snapshots, and how much each counts.
struct AverageSpec {
  Scheme scheme = Scheme::lawa;
  int64_t window = 0;           ///< snapshots, k; 0 where the scheme has no window
  int64_t stride = 0;           ///< steps between snapshots, nu; 0: every checkpoint there is
  int64_t first = 0, last = 0;  ///< steps: no snapshot before the one and after the other; 0: no limit
  std::optional<double> beta{};  ///< ema: what is kept of the average at each snapshot
  double half_life_steps = 0;    ///< ema, in beta's place: so many steps halve what is kept; 0: not used
  double half_life = 0;          ///< ema, in beta's place: the same as a part of the steps so far; 0: not used
  bool warmup = false;           ///< ema: less at first
  std::vector<std::string> exclude{};  ///< tensors that stay plain where it is evaluated: "wte" is wte.weight
  double blend = 1;                    ///< evaluated is plain + blend (average - plain)

  /// What is evaluated has the run's present weights in it.
  bool holds_plain() const { return blend != 1 || !exclude.empty(); }
};

/// Whether the weights of a step are a snapshot: of a multiple of the stride, > 0, not before first and not after last.
bool is_snapshot(const AverageSpec& spec, int64_t step);
/// What an EMA keeps of itself at its `count`-th snapshot, counted from 0, which is that of step `step`: nothing at the first, then
/// beta, 2^(-stride / half_life_steps) or 2^(-stride / (half_life step)); with a warm-up at most 1 - (1 + count)^(-2/3).
double kept(const AverageSpec& spec, int64_t count, int64_t step);
/// Whether an entry of `exclude` means a tensor: its name, or the beginning of it up to a dot ("h.0" is all of the first block).
bool excludes(const std::string& entry, const std::string& tensor);

/// "lawa(k=5,nu=200)", "ema(beta=0.999,nu=1)", "ema(half_life=0.05,nu=1,exclude=wte+wpe,blend=0.6)": what metrics.jsonl and state
/// files call it.
std::string name(const AverageSpec& spec);
/// "lawa_k005_nu000200", "ema_nu000001_beta0.999": the folder of its files. Files hold the average itself.
std::string folder(const AverageSpec& spec);
/// {"scheme":…,"window":snapshots in it,"stride":…}, and of beta or a half-life, warmup, first, last, exclude and blend what is set.
Json describe(const AverageSpec& spec, int64_t snapshots);
/// The same description where a file that was written before says "sliding".
Json in_todays_words(Json description);

}  // namespace lawa
