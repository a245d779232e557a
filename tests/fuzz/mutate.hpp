// Random changes to a text, as libFuzzer's: they know nothing of a format but what its texts look like.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace lawa::fuzz {

class Mutator {
 public:
  /// The same seed gives the same texts. `inputs` are what texts are spliced with.
  Mutator(uint64_t seed, std::vector<std::string> inputs);

  /// One of the inputs with one to five changes.
  std::string next();

 private:
  size_t below(size_t count) { return count == 0 ? 0 : static_cast<size_t>(random_() % count); }
  bool one_in(size_t count) { return below(count) == 0; }
  void change(std::string& text);
  void change_bits(std::string& text);
  void change_number(std::string& text);
  void put_binary(std::string& text);
  void put_word(std::string& text);
  void cut(std::string& text);
  void copy_within(std::string& text);
  void repeat(std::string& text);
  void splice(std::string& text);

  std::mt19937_64 random_;
  std::vector<std::string> inputs_;
};

}  // namespace lawa::fuzz
