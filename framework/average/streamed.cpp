#include "average/streamed.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/number_format.hpp"

namespace lawa {
namespace {

/// True when the members of `a` are the newest of `b`'s.
bool is_end_of(const Average& a, const Average& b) {
  return a.members.size() <= b.members.size() && std::ranges::equal(a.members, std::span(b.members).last(a.members.size()));
}

/// Groups the averages of one step, uniform ones by whose members hold whose.
std::vector<NestedAverages> nest(const std::vector<Average>& plan, std::vector<size_t> of_step) {
  std::ranges::stable_sort(of_step, {}, [&](size_t i) { return plan[i].members.size(); });
  std::vector<NestedAverages> groups;
  for (const size_t i : of_step) {
    const auto fits = [&](const NestedAverages& group) {
      return plan[i].uniform() && plan[group.averages[0]].uniform() && is_end_of(plan[group.averages.back()], plan[i]);
    };
    const auto group = std::ranges::find_if(groups, fits);
    if (group != groups.end()) group->averages.push_back(i);
    else groups.push_back({{i}});
  }
  return groups;
}

using Held = std::map<int64_t, std::vector<float>>;

/// The members of an average, newest first for a uniform mean (so that smaller windows come first), else oldest first.
std::vector<const float*> member_data(const Average& average, const Held& held) {
  std::vector<const float*> data;
  for (const Member& member : average.members) data.push_back(held.at(member.step).data());
  if (average.uniform()) std::ranges::reverse(data);
  return data;
}

/// The largest finite number.
float largest_number(Rounding rounding) {
  constexpr NumberFormat formats[] = {NumberFormat::float32, NumberFormat::bfloat16, NumberFormat::float16};
  return static_cast<float>(largest_of(formats[static_cast<int>(rounding)]));
}

/// Errors: a number that the rounding made infinite. What comes of members that aren't finite themselves may be anything.
void check_not_beyond(std::span<const float> mean, std::span<const float* const> members, float largest, const std::function<void(size_t)>& beyond) {
  int outside = 0;
#pragma omp simd reduction(+ : outside)
  for (size_t i = 0; i < mean.size(); ++i) outside += std::abs(mean[i]) <= largest ? 0 : 1;
  for (size_t i = 0; outside > 0 && i < mean.size(); ++i)
    if (!(std::abs(mean[i]) <= largest) && std::ranges::all_of(members, [&](const float* x) { return std::isfinite(x[i]); })) beyond(i);
}

void complete(const std::vector<Average>& plan, const NestedAverages& group, const Held& held, Range range, Rounding rounding,
              const AveragingPiece& io) {
  const Average& largest = plan[group.averages.back()];
  const auto members = member_data(largest, held);
  std::vector<std::vector<float>> results;
  std::vector<MeanOfFirst> wanted;
  for (const size_t i : group.averages) {
    results.push_back(io.buffers.take(range.size()));
    wanted.push_back({std::ssize(plan[i].members), results.back().data()});
  }
  if (largest.uniform()) {
    uniform_means(members, wanted, range.size(), rounding);
  } else {
    std::vector<double> weights;
    for (const Member& member : largest.members) weights.push_back(member.weight);
    weighted_mean(members, weights, range.size(), rounding, results[0].data());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const auto mean = std::span(results[i]).first(static_cast<size_t>(range.size()));
    const Average& average = plan[group.averages[i]];
    const auto of_mean = std::span(members).first(average.members.size());
    check_not_beyond(mean, of_mean, largest_number(rounding), [&](size_t at) {
      io.beyond(average.step(), range.begin + static_cast<int64_t>(at), static_cast<double>(mean[at]));
    });
    io.write(group.averages[i], range, mean);
    io.buffers.give(std::move(results[i]));
  }
}

}  // namespace

std::vector<float> PieceBuffers::take(int64_t elements) {
  std::vector<float> buffer;
  if (!free_.empty()) {
    buffer = std::move(free_.back());
    free_.pop_back();
  }
  buffer.resize(std::max(buffer.size(), static_cast<size_t>(elements)));
  return buffer;
}

AveragingOrder averaging_order(const std::vector<Average>& plan) {
  std::map<int64_t, int64_t> last_use;            // of each checkpoint: the step that needs it last
  std::map<int64_t, std::vector<size_t>> ending;  // averages by their step
  for (size_t i = 0; i < plan.size(); ++i) {
    ending[plan[i].step()].push_back(i);
    for (const Member& member : plan[i].members) last_use[member.step] = std::max(last_use[member.step], plan[i].step());
  }
  AveragingOrder order;
  int64_t held = 0;
  for (const auto& [step, until] : last_use) {
    AveragingOrder::Stop stop{step, {}, {}};
    order.most_checkpoints = std::max(order.most_checkpoints, ++held);
    if (ending.contains(step)) stop.complete = nest(plan, ending[step]);
    for (const NestedAverages& group : stop.complete) order.most_averages = std::max(order.most_averages, std::ssize(group.averages));
    for (const auto& [other, end] : last_use)
      if (other <= step && end == step) stop.not_needed_any_more.push_back(other);
    held -= std::ssize(stop.not_needed_any_more);
    order.stops.push_back(std::move(stop));
  }
  return order;
}

int64_t piece_elements(const AveragingOrder& order, int64_t budget_bytes, int64_t unit, int64_t most) {
  const int64_t fit = budget_bytes / order.bytes(1);
  return std::max(unit, std::min(fit, most) / unit * unit);
}

void average_piece(const std::vector<Average>& plan, const AveragingOrder& order, Range range, Rounding rounding,
                   const AveragingPiece& io) {
  Held held;
  for (const AveragingOrder::Stop& stop : order.stops) {
    std::vector<float>& values = held.emplace(stop.step, io.buffers.take(range.size())).first->second;
    io.read(stop.step, range, std::span(values).first(static_cast<size_t>(range.size())));
    for (const NestedAverages& group : stop.complete) complete(plan, group, held, range, rounding, io);
    for (const int64_t step : stop.not_needed_any_more) io.buffers.give(std::move(held.extract(step).mapped()));
  }
}

}  // namespace lawa
