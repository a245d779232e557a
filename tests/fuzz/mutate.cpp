#include "fuzz/mutate.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace lawa::fuzz {
namespace {

constexpr size_t longest_input = 1 << 18;

// Where arithmetic goes wrong, and what parsers stumble over.
const std::string numbers[] = {"0", "-1", "1", "-0", "1.5", "1e400", "-1e400", "1e-400", "127", "255", "256", "65535", "65536", "2147483647", "2147483648",
                               "-2147483649", "4294967295", "4294967296", "9007199254740993", "9223372036854775807", "-9223372036854775808",
                               "9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999999999999"};
const std::string words[] = {"null", "true", "false", "nan", "inf", "[]", "{}", "[[]]", "\"\"", "[1]", "{\"a\":1}", "\"a\"", ",", ":", "\"", "\\", "\\u0000",
                             "\\ud800", "\n", "\r\n", "\t", std::string(1, '\0'), "\x7f", "\xef\xbb\xbf", "\xff", "\xed\xa0\x80", "\xf4\x90\x80\x80", "é", "😀",
                             "../", "/", ".", "~", "$HOME", "${", "=", "[[", "]]", "#", "'''", "\"\"\"", "%s%n", "1979-05-27", "0x", "_"};
constexpr uint64_t corners[] = {0, 1, 7, 8, 127, 128, 255, 256, 4095, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
                                uint64_t{1} << 40, uint64_t{1} << 48, 0x7ffffffffffffff0, 0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff8,
                                std::numeric_limits<uint64_t>::max()};

}  // namespace

Mutator::Mutator(uint64_t seed, std::vector<std::string> inputs) : random_(seed), inputs_(std::move(inputs)) {}

std::string Mutator::next() {
  std::string text = inputs_[below(inputs_.size())];
  for (size_t changes = 1 + below(5); changes > 0; --changes) change(text);
  if (text.size() > longest_input) text.resize(longest_input);
  return text;
}

void Mutator::change(std::string& text) {
  switch (below(11)) {
    case 0: case 1: return change_bits(text);
    case 2: case 3: return change_number(text);
    case 4: return put_binary(text);
    case 5: case 6: return put_word(text);
    case 7: return cut(text);
    case 8: return copy_within(text);
    case 9: return repeat(text);
    default: return splice(text);
  }
}

void Mutator::change_bits(std::string& text) {
  if (text.empty()) return;
  char& byte = text[below(text.size())];
  byte = one_in(2) ? static_cast<char>(byte ^ (1 << below(8))) : static_cast<char>(random_());
}

/// A number that is written in digits becomes another one.
void Mutator::change_number(std::string& text) {
  const size_t begin = text.find_first_of("0123456789", below(text.size()));
  if (begin == text.npos) return put_word(text);
  const size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  text.replace(begin, end - begin, numbers[below(std::size(numbers))]);
}

/// Two, four or eight bytes become a number, or one that is near it.
void Mutator::put_binary(std::string& text) {
  const uint64_t number = corners[below(std::size(corners))] + below(3) - 1;
  const size_t bytes = std::min(size_t{2} << below(3), text.size());
  std::memcpy(text.data() + below(text.size() - bytes + 1), &number, bytes);
}

void Mutator::put_word(std::string& text) {
  const std::string& word = one_in(2) ? words[below(std::size(words))] : numbers[below(std::size(numbers))];
  const size_t at = below(text.size() + 1);
  text.replace(at, one_in(2) ? 0 : below(std::min<size_t>(text.size() - at, 8) + 1), word);
}

void Mutator::cut(std::string& text) {
  const size_t at = below(text.size());
  text.erase(at, one_in(3) ? text.npos : 1 + below(32));
}

void Mutator::copy_within(std::string& text) {
  const std::string some = text.substr(below(text.size()), 1 + below(64));
  text.insert(below(text.size() + 1), some);
}

/// The same again and again: few times, as a rule.
void Mutator::repeat(std::string& text) {
  const size_t at = below(text.size());
  const std::string some = text.substr(at, 1 + below(one_in(2) ? 2 : 24));
  for (size_t times = below(size_t{1} << (1 + below(one_in(8) ? 14 : 5))); times > 0 && text.size() < longest_input; --times) text.insert(at, some);
}

void Mutator::splice(std::string& text) {
  const std::string& other = inputs_[below(inputs_.size())];
  text = text.substr(0, below(text.size() + 1)) + other.substr(below(other.size() + 1));
}

}  // namespace lawa::fuzz
