#include "average/scheme.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/config.hpp"

namespace lawa {

const std::vector<std::string>& scheme_names() {
  static const std::vector<std::string> names{"lawa", "tumbling", "lawa_released", "swa", "ema", "linear", "1-sqrt", "curve", "weights"};
  return names;
}

const std::string& name(Scheme scheme) { return scheme_names()[static_cast<size_t>(scheme)]; }

Scheme scheme_of(const std::string& word, const std::string& place) {
  if (word == "sliding") return Scheme::lawa;
  const auto found = std::ranges::find(scheme_names(), word);
  std::string all;
  for (const std::string& one : scheme_names()) all += (all.empty() ? "" : ", ") + one;
  LAWA_CHECK(found != scheme_names().end(), place, ": scheme \"", word, "\" is none of: ", all);
  return static_cast<Scheme>(found - scheme_names().begin());
}

bool has_window(Scheme scheme) { return scheme != Scheme::swa && scheme != Scheme::ema; }

bool is_snapshot(const AverageSpec& s, int64_t step) {
  return step > 0 && (s.stride == 0 || step % s.stride == 0) && step >= s.first && (s.last == 0 || step <= s.last);
}

double kept(const AverageSpec& s, int64_t count, int64_t step) {
  if (count == 0) return 0;
  const double half_life = s.half_life > 0 ? s.half_life * static_cast<double>(step) : s.half_life_steps;
  const double keep = s.beta ? *s.beta : std::exp2(-static_cast<double>(s.stride) / half_life);
  return s.warmup ? std::min(keep, 1 - std::pow(1 + static_cast<double>(count), -2.0 / 3.0)) : keep;
}

bool excludes(const std::string& entry, const std::string& tensor) { return tensor == entry || tensor.starts_with(entry + "."); }

namespace {

/// "50", "0.05": without the ".0" that TOML wants.
std::string shortest(double value) {
  const std::string text = detail::to_toml(value);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

}  // namespace

std::string name(const AverageSpec& s) {
  std::string text = name(s.scheme) + "(";
  if (s.window > 0) text += "k=" + std::to_string(s.window) + ",";
  if (s.beta) text += "beta=" + detail::to_toml(*s.beta) + ",";
  if (s.half_life_steps > 0) text += "half_life_steps=" + shortest(s.half_life_steps) + ",";
  if (s.half_life > 0) text += "half_life=" + shortest(s.half_life) + ",";
  text += "nu=" + std::to_string(s.stride);
  if (s.first > 0) text += ",first=" + std::to_string(s.first);
  if (s.last > 0) text += ",last=" + std::to_string(s.last);
  if (s.warmup) text += ",warmup";
  for (size_t i = 0; i < s.exclude.size(); ++i) text += (i == 0 ? ",exclude=" : "+") + s.exclude[i];
  if (s.blend != 1) text += ",blend=" + shortest(s.blend);
  return text + ")";
}

std::string folder(const AverageSpec& s) {
  char k[32] = "", nu[32];
  if (s.window > 0) std::snprintf(k, sizeof k, "_k%03lld", static_cast<long long>(s.window));
  std::snprintf(nu, sizeof nu, "_nu%06lld", static_cast<long long>(s.stride));
  std::string text = name(s.scheme) + k + nu;
  if (s.beta) text += "_beta" + detail::to_toml(*s.beta);
  if (s.half_life_steps > 0) text += "_half_life_steps" + shortest(s.half_life_steps);
  if (s.half_life > 0) text += "_half_life" + shortest(s.half_life);
  if (s.warmup) text += "_warmup";
  if (s.first > 0) text += "_first" + std::to_string(s.first);
  if (s.last > 0) text += "_last" + std::to_string(s.last);
  return text;
}

Json describe(const AverageSpec& s, int64_t snapshots) {
  Json description = {{"scheme", name(s.scheme)}, {"window", snapshots}, {"stride", s.stride}};
  if (s.beta) description["beta"] = *s.beta;
  if (s.half_life_steps > 0) description["half_life_steps"] = s.half_life_steps;
  if (s.half_life > 0) description["half_life"] = s.half_life;
  if (s.warmup) description["warmup"] = true;
  if (s.first > 0) description["first"] = s.first;
  if (s.last > 0) description["last"] = s.last;
  if (!s.exclude.empty()) description["exclude"] = s.exclude;
  if (s.blend != 1) description["blend"] = s.blend;
  return description;
}

Json in_todays_words(Json description) {
  if (description.is_object() && description.value("scheme", Json()) == "sliding") description["scheme"] = name(Scheme::lawa);
  return description;
}

}  // namespace lawa
