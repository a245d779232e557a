#include "train/run_report.hpp"

#include <algorithm>
#include <cstdio>

namespace lawa {
namespace {

constexpr double window_seconds = 10;

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[200];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string several(int64_t count, const std::string& what) { return concat(count, " ", what, count == 1 ? "" : "s"); }
std::string bytes_text(int64_t bytes) { return lawa::bytes_text(static_cast<double>(bytes)); }

/// "12 checkpoints of 159 kB (5 of them at a time), 3 states of 290 kB (2 at a time), 4 averages".
std::string files_text(const RunOutput& out) {
  const auto at_a_time = [](int64_t most, int64_t all) { return most < all ? concat(" (", most, " at a time)") : ""; };
  std::string text = several(out.checkpoints, "checkpoint") + " of " + bytes_text(out.weights_bytes) + at_a_time(out.most_weights, out.checkpoints) + ", " +
                     several(out.states, "state") + " of " + bytes_text(out.state_bytes) + at_a_time(out.most_states, out.states);
  return out.averages > 0 ? text + ", " + several(out.averages, "average") : text;
}

}  // namespace

void RateWindow::add(double tokens, double seconds) {
  parts_.push_back({tokens, seconds});
  tokens_ += tokens;
  seconds_ += seconds;
  while (parts_.size() > 1 && seconds_ - parts_.front().seconds >= window_seconds) {
    tokens_ -= parts_.front().tokens;
    seconds_ -= parts_.front().seconds;
    parts_.pop_front();
  }
}

std::string losses_text(const std::vector<Json>& lines, int64_t step) {
  std::vector<std::pair<std::string, std::string>> models;
  for (const Json& line : lines) {
    const std::string name = line.value("model", "?");
    const int64_t of_step = line.value("step", step);
    const Json loss = line.value("loss", Json());
    const std::string value = (loss.is_number() ? print(" %.4f", loss.get<double>()) : " not finite") + (of_step == step ? "" : concat(" (step ", of_step, ")"));
    const auto known = std::ranges::find(models, name, &std::pair<std::string, std::string>::first);
    if (known == models.end()) models.emplace_back(name, value);
    else known->second = value;
  }
  std::string text;
  for (const auto& [name, value] : models) text += (text.empty() ? "" : ", ") + name + value;
  return text;
}

void RunReport::made_of(int64_t micro_sequences, int ranks, int64_t parameters, int64_t averages_bytes) {
  log_.line(print("%s, %.2f M parameters, on ", title(config_.model), static_cast<double>(parameters) * 1e-6) + several(ranks, "rank") + "; " +
            several(config_.batch.global_sequences, "sequence") + " of " + several(config_.model.context, "token") + " a step, up to " +
            concat(micro_sequences) + " at a time");
  if (averages_bytes > 0)
    log_.line("averages: at most " + bytes_text(averages_bytes) + " of memory a rank, and " + bytes_text(averages_bytes * ranks) + " more of state");
}

void RunReport::begins(int64_t first_step, const RunOutput& output, int64_t data_tokens, double seconds_a_step) {
  const int64_t steps = config_.schedule.steps - first_step, step_tokens = config_.batch.global_sequences * config_.model.context;
  log_.line(several(steps, "step") + " to come, of " + several(step_tokens, "token") +
            print(": %.3g times the training tokens; ", static_cast<double>(steps * step_tokens) / static_cast<double>(data_tokens)) +
            several(output.evaluations, "evaluation"));
  log_.line(config_.run.directory + ": " + files_text(output) + ": " + bytes_text(output.disk_bytes) + " at most");
  if (seconds_a_step > 0)
    log_.line(print("about %.3g s a step, ", seconds_a_step) + duration(seconds_a_step * static_cast<double>(steps)) +
              " of training in all, judged by the rate of matrix products here; after the first step it is measured");
}

void RunReport::made_step(const StepResult& result, double tokens, double seconds) {
  rate_.add(tokens, seconds);
  if (result.spike)
    log_.line(print("step %lld: the loss %.4f is a spike: about %.4f was expected, and it is %.1f robust deviations above that", static_cast<long long>(result.step),
                    result.loss, result.spike->expected, result.spike->deviations) +
              (result.rechecked ? "; computed twice, to the same bits" : ""));
  if (result.skipped)
    log_.line(concat("step ", result.step, " is skipped, weights and moments stay as they are: ", result.nonfinite ? result.nonfinite->text() : "",
                     result.rechecked ? "; computed twice, to the same bits" : ""));
  log_.progress(result.step, config_.schedule.steps,
                print("loss %.4f  lr %.2e  norm %.2f  %.0f tokens/s", result.loss, result.lr, result.grad_norm, rate_.tokens_per_second()));
}

void RunReport::evaluated(int64_t step, const std::vector<Json>& lines) {
  if (!lines.empty()) log_.line(concat("validation at step ", step, ": ", losses_text(lines, step)));
}

void RunReport::ends(int64_t step, const std::vector<Json>& lines) {
  if (!lines.empty()) log_.line(concat("last validation losses, at step ", step, ": ", losses_text(lines, step)));
}

}  // namespace lawa
