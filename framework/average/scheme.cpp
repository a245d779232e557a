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

double kept(const AverageSpec& s, int64_t count) {
  if (count == 0) return 0;
  return s.warmup ? std::min(*s.beta, 1 - std::pow(1 + static_cast<double>(count), -2.0 / 3.0)) : *s.beta;
}

std::string name(const AverageSpec& s) {
  std::string text = name(s.scheme) + "(";
  if (s.window > 0) text += "k=" + std::to_string(s.window) + ",";
  if (s.beta) text += "beta=" + detail::to_toml(*s.beta) + ",";
  text += "nu=" + std::to_string(s.stride);
  if (s.first > 0) text += ",first=" + std::to_string(s.first);
  if (s.last > 0) text += ",last=" + std::to_string(s.last);
  if (s.warmup) text += ",warmup";
  return text + ")";
}

std::string folder(const AverageSpec& s) {
  char k[32] = "", nu[32];
  if (s.window > 0) std::snprintf(k, sizeof k, "_k%03lld", static_cast<long long>(s.window));
  std::snprintf(nu, sizeof nu, "_nu%06lld", static_cast<long long>(s.stride));
  std::string text = name(s.scheme) + k + nu;
  if (s.beta) text += "_beta" + detail::to_toml(*s.beta);
  if (s.warmup) text += "_warmup";
  if (s.first > 0) text += "_first" + std::to_string(s.first);
  if (s.last > 0) text += "_last" + std::to_string(s.last);
  return text;
}

Json describe(const AverageSpec& s, int64_t snapshots) {
  Json description = {{"scheme", name(s.scheme)}, {"window", snapshots}, {"stride", s.stride}};
  if (s.beta) description["beta"] = *s.beta;
  if (s.warmup) description["warmup"] = true;
  if (s.first > 0) description["first"] = s.first;
  if (s.last > 0) description["last"] = s.last;
  return description;
}

Json in_todays_words(Json description) {
  if (description.is_object() && description.value("scheme", Json()) == "sliding") description["scheme"] = name(Scheme::lawa);
  return description;
}

}  // namespace lawa
