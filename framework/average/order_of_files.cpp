#include "average/order_of_files.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "average/steps_in_names.hpp"
#include "core/error.hpp"
#include "core/natural_order.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

constexpr const char* as_listed_remedy = "averaging.order=list takes the files in the order in which they are named";

/// Paths without the folders that all of them begin with.
std::vector<fs::path> telling_parts(const std::vector<fs::path>& files) {
  std::vector<fs::path> rests = files;
  const auto first_part = [](const fs::path& path) { return *path.begin(); };
  const auto goes = [&] {
    return files.size() > 1 && std::ranges::all_of(rests, [&](const fs::path& rest) {
             return rest.has_parent_path() && first_part(rest) == first_part(rests[0]);
           });
  };
  while (goes())
    for (fs::path& rest : rests) rest = rest.lexically_relative(first_part(rest));
  return rests;
}

using Numbers = std::vector<std::optional<int64_t>>;

Numbers numbers_in(const std::vector<fs::path>& paths, Counted counted) {
  Numbers numbers;
  for (const fs::path& path : paths) numbers.push_back(number_in(path, counted));
  return numbers;
}

size_t count_different(const Numbers& numbers) { return std::set(numbers.begin(), numbers.end()).size(); }

/// "model.safetensors" beside folders of checkpoints: what a trainer saves when it is done.
bool is_above_all(const std::vector<fs::path>& paths, size_t i) {
  const std::string stem = paths[i].stem().string();
  return !paths[i].has_parent_path() && (stem == "model" || stem == "pytorch_model") && std::ranges::all_of(paths, [&](const fs::path& path) {
    return path == paths[i] || path.has_parent_path();
  });
}

/// The one file that names no number, where its name says that it is the newest. Errors: there are others.
std::optional<size_t> find_newest(const std::vector<fs::path>& files, const std::vector<fs::path>& paths, const Numbers& numbers) {
  std::vector<size_t> without;
  for (size_t i = 0; i < numbers.size(); ++i)
    if (!numbers[i]) without.push_back(i);
  if (without.empty()) return std::nullopt;
  const auto with = static_cast<size_t>(std::ranges::find_if(numbers, [](const auto& number) { return number.has_value(); }) - numbers.begin());
  const bool clear = without.size() == 1 && (says_newest(paths[without[0]]) || is_above_all(paths, without[0]));
  LAWA_CHECK(clear, files[without[0]].string(), without.size() == 1 ? "" : concat(" and ", without.size() - 1, " more"),
             ": no step in the name, and ", files[with].string(), " has one (", *numbers[with],
             "): leave such files out or write their steps into their names (step_1000); ", as_listed_remedy);
  return without[0];
}

/// The numbers, and of a file that names none one more than the largest.
std::vector<int64_t> with_newest(const Numbers& numbers) {
  const int64_t largest = **std::ranges::max_element(numbers);  // nothing is less than any number
  std::vector<int64_t> steps;
  for (const auto& number : numbers) steps.push_back(number ? *number : largest + 1);
  return steps;
}

FileOrder by_number(const Numbers& numbers, Counted counted, std::optional<size_t> newest) {
  FileOrder order{.steps = with_newest(numbers), .newest = newest};
  if (counted == Counted::tokens) order.how = "the files' names count tokens, which are taken for steps";
  if (counted != Counted::epochs) return order;
  const bool from_zero = std::ranges::count(order.steps, 0) > 0;
  order.how = from_zero ? "the files' names count epochs, from 0: epoch 0 is taken for step 1" : "the files' names count epochs, which are taken for steps";
  for (int64_t& step : order.steps) step += from_zero ? 1 : 0;
  return order;
}

std::vector<size_t> places(size_t count) {
  std::vector<size_t> all(count);
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

/// Two files of which the later one has the smaller number, in names that are alike otherwise.
std::optional<std::pair<size_t, size_t>> contradiction(const std::vector<fs::path>& paths) {
  std::map<std::string, size_t> last;
  for (size_t i = 0; i < paths.size(); ++i) {
    const auto [before, is_first] = last.try_emplace(pattern_of(paths[i]), i);
    if (!is_first && natural_less(paths[i].string(), paths[before->second].string())) return std::pair{before->second, i};
    before->second = i;
  }
  return std::nullopt;
}

/// Sorted as shells and file managers do it: by all bytes, or by letters and digits alone, capital or small.
bool is_sorted_as_text(const std::vector<fs::path>& paths) {
  const auto bytes = [](const fs::path& path) { return path.string(); };
  const auto letters = [](const fs::path& path) {
    std::string text;
    for (const char c : path.string()) {
      const bool capital = c >= 'A' && c <= 'Z';
      if (capital || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) text += capital ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return text;
  };
  return std::ranges::is_sorted(paths, {}, bytes) || std::ranges::is_sorted(paths, {}, letters);
}

/// Files at these places of the list are the first, the second, ….
FileOrder by_place(const std::vector<size_t>& sequence, const std::string& how) {
  FileOrder order{.steps = std::vector<int64_t>(sequence.size()), .by_place = true, .how = how};
  for (size_t i = 0; i < sequence.size(); ++i) order.steps[sequence[i]] = static_cast<int64_t>(i) + 1;
  return order;
}

FileOrder by_names_order(const std::vector<fs::path>& files, const std::vector<fs::path>& paths) {
  const std::string no_steps = "the files' names don't tell steps apart: their places in ";
  std::vector<size_t> sequence = places(files.size());
  const auto wrong = contradiction(paths);
  if (!wrong) return by_place(sequence, no_steps + "the list count");
  LAWA_CHECK(is_sorted_as_text(paths), files[wrong->first].string(), " stands before ", files[wrong->second].string(),
             " in the list, against their numbers: name them in the order of their steps, or write the steps into their names (step_1000); ",
             as_listed_remedy);
  std::ranges::stable_sort(sequence, [&](size_t a, size_t b) { return natural_less(paths[a].string(), paths[b].string()); });
  return by_place(sequence, no_steps + "the order of their numbers count");
}

/// Steps that all files name, and some the same ones. Errors: the list isn't in their order.
FileOrder by_place_with_equal(const std::vector<fs::path>& files, const std::vector<int64_t>& steps) {
  const auto fall = std::ranges::adjacent_find(steps, std::greater<>());
  if (fall == steps.end()) return by_place(places(files.size()), "some files name the same step: their places in the list count");
  const auto at = static_cast<size_t>(fall - steps.begin());
  fail(__FILE__, __LINE__, files[at].string(), " stands before ", files[at + 1].string(), " in the list, against their steps (", steps[at], ", ",
       steps[at + 1], "), and some files name the same step: are they of two runs? averaging.any_run=true averages those of one step together; ", as_listed_remedy);
}

}  // namespace

FileOrder order_of(const std::vector<fs::path>& files, bool as_listed, bool may_share) {
  if (as_listed) return by_place(places(files.size()), "their places in the list count (averaging.order)");
  const std::vector<fs::path> paths = telling_parts(files);
  std::map<Counted, Numbers> kinds;  // steps first
  for (const Counted counted : {Counted::steps, Counted::tokens, Counted::epochs}) kinds[counted] = numbers_in(paths, counted);
  const auto all_named = [](const Numbers& numbers) { return std::ranges::all_of(numbers, [](const auto& n) { return n.has_value(); }); };
  const auto differ = [](const Numbers& numbers) { return count_different(numbers) == numbers.size(); };
  for (const auto& [counted, numbers] : kinds)
    if (all_named(numbers) && (may_share || differ(numbers))) return by_number(numbers, counted, std::nullopt);
  for (const auto& [counted, numbers] : kinds) {  // here one file at least names no number, or one that another file names
    if (count_different(numbers) < 2) continue;   // nowhere one, or everywhere the same
    const auto newest = find_newest(files, paths, numbers);
    return differ(numbers) ? by_number(numbers, counted, newest) : by_place_with_equal(files, with_newest(numbers));
  }
  return by_names_order(files, paths);
}

}  // namespace lawa
