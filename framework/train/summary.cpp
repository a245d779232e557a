#include "train/summary.hpp"

#include <algorithm>
#include <cstdio>

#include "core/log.hpp"

namespace lawa {
namespace {

using Shares = std::vector<std::pair<std::string, double>>;

/// "gemm 81.2 %, attention 9.0 %, …", the largest first.
std::string shares_text(Shares shares, double whole) {
  std::ranges::stable_sort(shares, std::greater{}, &Shares::value_type::second);
  std::string all;
  for (const auto& [name, seconds] : shares) {
    char text[100];
    std::snprintf(text, sizeof text, "%s%s %.1f %%", all.empty() ? "" : ", ", name.c_str(), 100 * seconds / whole);
    all += text;
  }
  return all;
}

std::string speed_text(const Speed& speed) {
  char text[200];
  std::snprintf(text, sizeof text, "training: %.0f tokens/s, %.1f GFLOP/s of the model", speed.tokens_per_second(),
                1e-9 * speed.flops_per_second());
  const std::string rate = text;
  if (!speed.gemm_measured()) return rate;
  std::snprintf(text, sizeof text, ", %.0f %% of the %.0f GFLOP/s that matrix products reach here", 100 * speed.gemm_share(),
                1e-9 * speed.gemm_flops_per_second);
  return rate + text;
}

}  // namespace

Json speed_fields(const Speed& speed) {
  Json fields = {{"tokens_this_start", speed.tokens}, {"seconds", speed.seconds}, {"tokens_per_second", speed.tokens_per_second()}};
  if (speed.gemm_measured()) fields.update({{"gemm_flops_per_second", speed.gemm_flops_per_second}, {"gemm_share", speed.gemm_share()}});
  return fields;
}

std::vector<std::string> summary(const Speed& speed, const std::vector<PhaseTime>& times) {
  std::vector<std::string> lines;
  if (speed.tokens > 0) lines.push_back(speed_text(speed));
  double total = 0;
  Shares outer, inner;
  for (const PhaseTime& time : times) {
    total += time.seconds;
    const std::string name = time.outer.empty() ? "other" : time.outer;
    const auto known = std::ranges::find(outer, name, &Shares::value_type::first);
    if (known == outer.end()) outer.emplace_back(name, time.seconds);
    else known->second += time.seconds;
    if (time.outer == training_phase) inner.emplace_back(time.inner.empty() ? "other kernels" : time.inner, time.seconds);
  }
  double training = 0;
  for (const auto& share : inner) training += share.second;
  if (total > 0) lines.push_back("time: " + duration(total) + ": " + shares_text(outer, total));
  if (training > 0) lines.push_back("training steps: " + shares_text(inner, training));
  return lines;
}

Json phase_seconds(const std::vector<PhaseTime>& times) {
  Json seconds = Json::object();
  for (const PhaseTime& time : times) {
    if (time.outer.empty()) seconds["other"] = time.seconds;
    else seconds[time.outer + "/" + (time.inner.empty() ? "other" : time.inner)] = time.seconds;
  }
  return seconds;
}

}  // namespace lawa
