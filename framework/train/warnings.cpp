#include "train/warnings.hpp"

#include <algorithm>
#include <cstdio>

namespace lawa {

std::vector<std::string> warnings(const TrainConfig& config, const ConfigSource& source, std::optional<int64_t> data_tokens) {
  std::vector<std::string> found;
  char text[40];
  const ScheduleConfig& schedule = config.schedule;
  if (schedule.steps <= schedule.warmup_steps) {
    std::snprintf(text, sizeof text, "%.3g %%", 100 * static_cast<double>(schedule.steps - 1) / static_cast<double>(schedule.warmup_steps));
    found.push_back(concat("schedule.warmup_steps", source.where("schedule.warmup_steps"), ": the run of ", schedule.steps, " steps",
                           source.where("schedule.steps"), " ends inside its warm-up of ", schedule.warmup_steps,
                           ": the learning rate gets no further than ", text, " of schedule.peak_lr; schedule.warmup_steps=", schedule.steps / 20,
                           " is 5 % of the run"));
  }
  const int64_t step_tokens = config.batch.global_sequences * config.model.context;
  if (data_tokens && step_tokens > *data_tokens) {
    std::snprintf(text, sizeof text, "%.3g", static_cast<double>(step_tokens) / static_cast<double>(std::max<int64_t>(*data_tokens, 1)));
    found.push_back(concat("batch.global_sequences", source.where("batch.global_sequences"), ": a step reads ", step_tokens, " tokens (",
                           config.batch.global_sequences, " sequences of ", config.model.context, "), and data.train", source.where("data.train"),
                           " has ", *data_tokens, ": each step reads all of it ", text, " times; fewer sequences would make more steps of it"));
  }
  return found;
}

}  // namespace lawa
