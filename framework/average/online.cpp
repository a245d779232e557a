#include "average/online.hpp"

#include <algorithm>

#include "average/exact_mean.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

constexpr int64_t largest_step = 1'000'000'000'000'000'000;  // names of files have no room for more

/// sum = keep * sum + add * x, in float64.
void accumulate(const Exec& exec, const Vector<double>& sum, double keep, double add, const Vector<float>& x) {
  double* const s = sum.data();
  const float* const values = x.data();
  for_elements("lawa::online_average", exec, {0, rows(sum)}, KOKKOS_LAMBDA(int64_t i) { s[i] = keep * s[i] + add * static_cast<double>(values[i]); });
}

/// out = sum / count, rounded once.
void divide(const Exec& exec, const Vector<double>& sum, double count, const Vector<float>& out) {
  for_elements("lawa::online_mean", exec, {0, rows(sum)}, KOKKOS_LAMBDA(int64_t i) {
    out(static_cast<size_t>(i)) = static_cast<float>(sum(static_cast<size_t>(i)) / count);
  });
}

std::string snapshot_name(int64_t step) { return "averages/snapshots/" + checkpoint_name(step); }
std::string sum_name(const std::string& average) { return "averages/" + average + "/sum"; }

/// What a state file says of the average that is called `name`. Errors: it can't have come to that.
AverageProgress progress_of(const AverageSpec& spec, const Json& state, const std::string& name) {
  AverageProgress progress{.spec = spec};
  try {
    progress.count = state.at("snapshots");
    progress.oldest = state.at("oldest");
    progress.newest = state.at("newest");
    progress.members = state.at("members").get<std::vector<int64_t>>();
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, name, ": what the state file says of it can't be read: ", error.what());
  }
  const auto& [ignored, count, oldest, newest, members] = progress;
  const bool counted = count == 0 ? oldest == 0 && newest == 0 : count > 0 && count <= newest && oldest > 0 && oldest <= newest && newest < largest_step;
  const bool held = std::ssize(members) == std::min(count, spec.window) && std::ranges::is_sorted(members, std::less_equal()) &&
                    (members.empty() || (members.front() >= oldest && members.back() == newest));
  LAWA_CHECK(counted && held, name, ": the state file says ", count, " snapshots from step ", oldest, " to ", newest, ", and holds ", members.size(),
             " of them, as no run of ", name, " does");
  return progress;
}

}  // namespace

OnlineAverages::OnlineAverages(const std::vector<OnlineAverageConfig>& configs, const ShardLayout& layout)
    : local_size_(layout.local_size()) {
  for (const OnlineAverageConfig& config : configs) {
    const AverageSpec spec = spec_of(config);
    if (std::ranges::count(averages_, lawa::name(spec), &One::name) > 0) continue;
    averages_.push_back({.progress = {.spec = spec}, .name = lawa::name(spec)});
    if (spec.window == 0) averages_.back().sum = zeros<double>("lawa::online." + config.scheme, local_size_);
  }
  begin_anew();
}

void OnlineAverages::begin_anew() {
  snapshots_.clear();
  for (One& one : averages_) {
    one.progress.begin_anew();
    if (!one.windowed()) fill(Exec(), one.sum, -0.0);  // -0 + x = x, the sign of zero included
  }
}

void OnlineAverages::observe(const Exec& exec, int64_t step, const Vector<float>& weights) {
  for (One& one : averages_) {
    if (!one.progress.take(step)) continue;
    if (!one.windowed()) {
      const AverageSpec& spec = one.progress.spec;
      const bool ema = spec.scheme == Scheme::ema;
      const double keep = ema ? kept(spec, one.progress.count - 1, step) : 1;
      accumulate(exec, one.sum, keep, ema ? 1 - keep : 1, weights);
    } else if (!snapshots_.contains(step)) {
      const HostVector<float> taken = uninitialised<float, HostMemory>("lawa::snapshot", local_size_);
      exec.fence();
      copy(taken, weights);
      snapshots_.emplace(step, taken);
    }
  }
  drop_unused_snapshots();
}

void OnlineAverages::drop_unused_snapshots() {
  std::erase_if(snapshots_, [&](const auto& snapshot) {
    return std::ranges::none_of(averages_, [&](const One& one) { return std::ranges::count(one.progress.members, snapshot.first) > 0; });
  });
}

size_t OnlineAverages::find(const OnlineAverageConfig& config) const {
  const auto found = std::ranges::find(averages_, lawa::name(spec_of(config)), &One::name);
  LAWA_CHECK(found != averages_.end(), lawa::name(spec_of(config)), ": isn't kept");
  return static_cast<size_t>(found - averages_.begin());
}

void OnlineAverages::average(const Exec& exec, size_t i, const Vector<float>& out) const {
  const One& one = averages_[i];
  LAWA_CHECK(step(i) > 0, one.name, ": there are only ", one.progress.count, " snapshots");
  if (one.windowed()) {
    std::vector<const float*> members;
    for (const int64_t member : one.progress.members) members.push_back(snapshots_.at(member).data());
    const HostVector<float> mean = Kokkos::create_mirror_view(HostMemory{}, out);
    const std::vector<MeanOfFirst> wanted{{one.progress.spec.window, mean.data()}};
    uniform_means(members, wanted, local_size_, Rounding::float32);
    copy(out, mean);
  } else {
    divide(exec, one.sum, one.progress.spec.scheme == Scheme::ema ? 1 : static_cast<double>(one.progress.count), out);
    exec.fence();
  }
}

Json OnlineAverages::describe(size_t i) const {
  const One& one = averages_[i];
  const AverageProgress& progress = one.progress;
  Json description = lawa::describe(progress.spec, snapshots(i));
  description["since"] = progress.members.empty() ? progress.oldest : progress.members.front();
  Json members = Json::array();
  for (const int64_t step : progress.members) members.push_back({{"step", step}, {"weight", 1.0}});
  if (!members.empty()) description["members"] = members;
  description["online"] = one.name;
  return description;
}

int64_t OnlineAverages::most_bytes() const {
  int64_t sums = 0, snapshots = 0;  // snapshots may be shared: this counts them all
  for (const One& one : averages_) (one.windowed() ? snapshots : sums) += one.progress.spec.window + 1;
  return local_size_ * (8 * sums + 4 * snapshots);
}

std::vector<ShardArray> OnlineAverages::arrays() const {
  std::vector<ShardArray> arrays;
  for (const One& one : averages_)
    if (!one.windowed()) arrays.push_back({sum_name(one.name), one.sum});
  for (const auto& [step, taken] : snapshots_) {
    const Vector<float> device = Kokkos::create_mirror_view(Memory{}, taken);
    copy(device, taken);
    arrays.push_back({.name = snapshot_name(step), .local = device, .constant = true});
  }
  return arrays;
}

Json OnlineAverages::description() const {
  Json all = Json::object();
  for (const One& one : averages_)
    all[one.name] = {{"snapshots", one.progress.count}, {"oldest", one.progress.oldest}, {"newest", one.progress.newest},
                     {"members", one.progress.members}};
  return all;
}

Json OnlineAverages::restore(const Json& description, const std::function<void(const std::vector<ShardArray>&)>& read) {
  begin_anew();
  LAWA_CHECK(description.is_object(), "averages: what the state file says of them isn't a list of averages");
  Json added = Json::array(), dropped = Json::array();
  for (const auto& [name, state] : description.items())
    if (std::ranges::count(averages_, name, &One::name) == 0) dropped.push_back(name);
  for (One& one : averages_) {
    const auto found = description.find(one.name);
    if (found == description.end()) {
      added.push_back(one.name);
      continue;
    }
    one.progress = progress_of(one.progress.spec, *found, one.name);
    if (!one.windowed()) read({{sum_name(one.name), one.sum}});
    for (const int64_t step : one.progress.members) {
      if (snapshots_.contains(step)) continue;
      const Vector<float> device = zeros<float>("lawa::snapshot", local_size_);
      read({{snapshot_name(step), device}});
      snapshots_.emplace(step, on_host(device));
    }
  }
  return {{"added", added}, {"dropped", dropped}};
}

void blend(const Exec& exec, double lambda, const Vector<float>& plain, const Vector<float>& average) {
  for_elements("lawa::blend", exec, {0, rows(average)}, KOKKOS_LAMBDA(int64_t n) {
    const auto i = static_cast<size_t>(n);
    const auto theta = static_cast<double>(plain(i));
    average(i) = static_cast<float>(theta + lambda * (static_cast<double>(average(i)) - theta));
  });
}

}  // namespace lawa
