// What a run says about its speed when it ends.
#pragma once
#include <string>
#include <vector>

#include "core/json.hpp"
#include "tensor/phases.hpp"

namespace lawa {

/// The outermost phases of a run; inside them: gemm, attention, optimizer, communication, data, averages.
inline constexpr const char *start_phase = "start", *training_phase = "training", *evaluation_phase = "evaluation",
                            *checkpoint_phase = "checkpoints";

/// How fast a part of a run was.
struct Speed {
  double tokens = 0, seconds = 0;    ///< of training steps, over all ranks
  double flops_per_token = 0;        ///< forward and backward, as the field counts them
  double gemm_flops_per_second = 0;  ///< what matrix products reach on all ranks, measured; 0: not measured

  double tokens_per_second() const { return tokens / seconds; }
  double flops_per_second() const { return tokens_per_second() * flops_per_token; }
  bool gemm_measured() const { return gemm_flops_per_second > 0; }
  /// The share of the measured matrix products' rate.
  double gemm_share() const { return flops_per_second() / gemm_flops_per_second; }
};

/// {"tokens_this_start": …, "seconds": …, "tokens_per_second": …}; "gemm_flops_per_second" and "gemm_share" where they were measured.
Json speed_fields(const Speed& speed);

/// Lines for people: the speed, and where this process's time went.
std::vector<std::string> summary(const Speed& speed, const std::vector<PhaseTime>& times);

/// {"training/gemm": seconds, "training/other": …, "checkpoints/other": …, "other": …}: "other" is what no phase inside has.
Json phase_seconds(const std::vector<PhaseTime>& times);

}  // namespace lawa
