#include "average/steps_in_names.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// A run of letters, small ones, or of digits; else one byte.
struct Token {
  enum class Kind { letters, digits, other } kind;
  std::string text;
};
using Tokens = std::vector<Token>;

Token::Kind kind_of(char c) {
  if (c >= '0' && c <= '9') return Token::Kind::digits;
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? Token::Kind::letters : Token::Kind::other;
}

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// "rlStep_9k" is rl, step, _, 9, k.
Tokens tokens_of(const std::string& name) {
  Tokens tokens;
  for (size_t i = 0; i < name.size(); ++i) {
    const Token::Kind kind = kind_of(name[i]);
    const bool hump = i > 0 && name[i] != small(name[i]) && name[i - 1] == small(name[i - 1]);
    const bool goes_on = !tokens.empty() && tokens.back().kind == kind && kind != Token::Kind::other && !hump;
    if (!goes_on) tokens.push_back({kind, ""});
    tokens.back().text += small(name[i]);
  }
  return tokens;
}

using Words = std::set<std::string>;

bool is(const Tokens& tokens, size_t i, Token::Kind kind) { return i < tokens.size() && tokens[i].kind == kind; }
bool is_one_of(const Tokens& tokens, size_t i, const Words& words) { return i < tokens.size() && words.contains(tokens[i].text); }
bool is_separator(const Tokens& tokens, size_t i) { return is_one_of(tokens, i, {"-", "_", "=", ".", " "}); }

/// A number and the token behind it.
struct Number {
  int64_t value;
  size_t end;
};

/// Zeros behind the digits, by what is written behind them.
struct Suffix {
  const char* text;
  size_t zeros;
};
using Suffixes = std::vector<Suffix>;
const Suffixes thousands{{"k", 3}}, thousands_and_millions{{"k", 3}, {"m", 6}},
    up_to_trillions{{"k", 3}, {"m", 6}, {"b", 9}, {"bt", 9}, {"t", 12}};

/// The number that begins at a token: "100", "9k", "1.5M"; nothing where it is a part of something else. `behind` are words that may stand
/// directly behind it ("100steps").
std::optional<Number> number_at(const Tokens& tokens, size_t begin, const Suffixes& suffixes, const Words& behind = {}) {
  const auto is_digits = [&](size_t i) { return is(tokens, i, Token::Kind::digits); };
  const auto is_dot = [&](size_t i) { return is_one_of(tokens, i, {"."}); };
  if (!is_digits(begin) || (begin >= 2 && is_dot(begin - 1) && is_digits(begin - 2))) return std::nullopt;
  std::string digits = tokens[begin].text;
  size_t end = begin + 1, places = 0, zeros = 0;
  if (is_dot(end) && is_digits(end + 1)) {
    places = tokens[end + 1].text.size();
    digits += tokens[end + 1].text;
    end += 2;
  }
  if (is(tokens, end, Token::Kind::letters)) {
    const auto suffix = std::ranges::find(suffixes, tokens[end].text, &Suffix::text);
    if (suffix != suffixes.end()) zeros = suffix->zeros;
    if (suffix != suffixes.end()) ++end;
    if ((is(tokens, end, Token::Kind::letters) && !is_one_of(tokens, end, behind)) || (zeros > 0 && is_digits(end))) return std::nullopt;
  }
  const bool of_many = is_separator(tokens, end) && is_one_of(tokens, end + 1, {"of"}) && is_separator(tokens, end + 2) && is_digits(end + 3);
  if (places > zeros || of_many) return std::nullopt;
  digits += std::string(zeros - places, '0');
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits.size() > 18) return std::nullopt;
  return Number{std::stoll(digits), end};
}

/// A word that names a limit and no place: "max_steps=500".
bool is_limited(const Tokens& tokens, size_t word) {
  const Words limits{"max", "total", "warmup", "every"};
  return word > 0 && is_one_of(tokens, word - (word > 1 && is_separator(tokens, word - 1) ? 2 : 1), limits);
}

struct WordsAndNumber {
  Words words;
  Suffixes suffixes;
  bool needs_separator = false;
  bool has_two = false;  ///< "checkpoint_3_5000": of epoch 3, step 5000
};

/// The last "word number" of a name.
std::optional<int64_t> number_behind(const Tokens& tokens, const WordsAndNumber& rule) {
  std::optional<int64_t> found;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!is_one_of(tokens, i, rule.words) || is_limited(tokens, i)) continue;
    if (i > 0 && is(tokens, i - 1, Token::Kind::digits)) continue;
    const size_t begin = is_separator(tokens, i + 1) ? i + 2 : i + 1;
    if (rule.needs_separator && begin == i + 1) continue;
    const auto first = number_at(tokens, begin, rule.suffixes);
    if (!first) continue;
    const auto second = rule.has_two && is_one_of(tokens, first->end, {"_"}) ? number_at(tokens, first->end + 1, {}) : std::nullopt;
    found = second ? second->value : first->value;
  }
  return found;
}

/// The last "number word" of a name.
std::optional<int64_t> number_before(const Tokens& tokens, const WordsAndNumber& rule) {
  std::optional<int64_t> found;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto number = number_at(tokens, i, rule.suffixes, rule.words);
    if (!number || (i > 0 && is(tokens, i - 1, Token::Kind::letters))) continue;
    const size_t word = is_separator(tokens, number->end) ? number->end + 1 : number->end;
    if (is_one_of(tokens, word, rule.words)) found = number->value;
  }
  return found;
}

std::optional<int64_t> nothing_but_a_number(const Tokens& tokens) {
  const auto number = number_at(tokens, 0, thousands);
  return number && number->end == tokens.size() ? std::optional(number->value) : std::nullopt;
}

/// The parts of a path, the file's without its ending.
std::vector<Tokens> parts_of(const fs::path& path) {
  std::vector<Tokens> parts;
  for (const fs::path& part : path.parent_path()) parts.push_back(tokens_of(part.string()));
  const std::string name = path.filename().string();
  const size_t dot = name.rfind('.');
  const Tokens ending = dot == std::string::npos ? Tokens() : tokens_of(name.substr(dot + 1));  // "h5"; of model.ckpt-1000 there is none
  const bool is_ending = is(ending, 0, Token::Kind::letters) && std::ranges::none_of(ending, [](const Token& t) { return t.kind == Token::Kind::other; });
  parts.push_back(tokens_of(is_ending ? name.substr(0, dot) : name));
  return parts;
}

/// What a rule finds last.
template <class Rule>
std::optional<int64_t> last_of(const std::vector<Tokens>& parts, size_t count, Rule&& rule) {
  for (size_t i = parts.size(); i-- > parts.size() - std::min(count, parts.size());)
    if (const auto number = rule(parts[i])) return number;
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> number_in(const fs::path& path, Counted counted) {
  static const WordsAndNumber steps{
      {"step", "steps", "globalstep", "iter", "iters", "iteration", "iterations", "update", "updates", "ba"},
      thousands_and_millions};
  static const WordsAndNumber checkpoints{{"checkpoint", "ckpt", "chkpt", "ckp"}, thousands_and_millions, false, true};
  static const WordsAndNumber models{{"model", "weights", "params", "snapshot"}, thousands, true};
  static const WordsAndNumber tokens{{"token", "tokens", "sample", "samples"}, up_to_trillions};
  static const WordsAndNumber epochs{{"epoch", "epochs", "ep"}, {}};
  const std::vector<Tokens> parts = parts_of(path);
  const auto behind = [&](const WordsAndNumber& rule) {
    return last_of(parts, parts.size(), [&](const Tokens& part) { return number_behind(part, rule); });
  };
  const auto before = [&](const WordsAndNumber& rule) {
    return last_of(parts, parts.size(), [&](const Tokens& part) { return number_before(part, rule); });
  };
  const auto either = [&](const WordsAndNumber& rule) {
    const auto number = behind(rule);
    return number ? number : before(rule);
  };
  if (counted != Counted::steps) return either(counted == Counted::tokens ? tokens : epochs);
  if (const auto number = either(steps)) return number;
  if (const auto number = behind(checkpoints)) return number;
  if (const auto number = behind(models)) return number;
  return last_of(parts, 2, nothing_but_a_number);
}

int64_t step_of_model(const std::filesystem::path& path) {
  return number_in(path.parent_path().filename() / path.filename(), Counted::steps).value_or(0);
}

bool says_newest(const fs::path& path) {
  const Words newest{"final", "last", "latest", "end"};
  const std::vector<Tokens> parts = parts_of(path);
  const auto says = [&](const Tokens& part) { return std::ranges::any_of(part, [&](const Token& token) { return newest.contains(token.text); }); };
  return says(parts.back()) || (parts.size() > 1 && says(parts[parts.size() - 2]));
}

std::string pattern_of(const fs::path& path) {
  std::string pattern;
  for (const Token& token : tokens_of(path.string())) pattern += token.kind == Token::Kind::digits ? "#" : token.text;
  return pattern;
}

}  // namespace lawa
