#include "train/stop_rule.hpp"

#include <limits>

#include "train/evaluation_steps.hpp"

namespace lawa {

bool patience_is_over(std::span<const double> losses, int64_t patience) {
  double lowest = std::numeric_limits<double>::infinity();
  int64_t since = 0;  // evaluations since the lowest
  for (const double loss : losses) {
    ++since;
    if (loss < lowest) lowest = loss, since = 0;
  }
  return patience > 0 && since >= patience;
}

/// Those of the plain weights beside an average alone are none of its: an average doesn't change when a run ends.
bool StopRule::counts(const Json& line) const {
  const std::string& model = config_.stop.model;
  const int64_t step = line.value("step", int64_t{0});
  return line.value("model", "") == model &&
         (model != "plain" || evaluation_steps(config_.evaluate).contains(step, config_.schedule.steps));
}

void StopRule::add(const Json& line) {
  if (!counts(line)) return;
  const Json loss = line.value("loss", Json());
  losses_.push_back(loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::infinity());  // one that was no number is null
}

void StopRule::restart(const Communicator& comm, const std::vector<Json>& lines) {
  Json counted = Json::array();
  for (const Json& line : lines)
    if (counts(line)) counted.push_back(line);
  losses_.clear();
  for (const Json& line : Json::parse(comm.broadcast(counted.dump()))) add(line);
}

}  // namespace lawa
