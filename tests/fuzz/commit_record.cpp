// A checkpoint's commit record, with or without a digest that fits the rest: whoever means harm can make one.
#include "checkpoint/commit_record.hpp"

#include "checkpoint/run_directory.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "fuzz/fuzz.hpp"

namespace lawa::fuzz {
namespace {

constexpr int64_t step = 20;

/// The same record with the digest of the rest; the text itself where it isn't an object.
std::string signed_again(const std::string& text) {
  Json json = json_or_null(text);
  if (!json.is_object()) return text;
  json.erase("record_digest");
  json["record_digest"] = hash128(json.dump());
  return json.dump();
}

CommitRecord record() {
  const auto weights = put("step_00000020.weights.h5", repeated("weights ", 100)), state = put("step_00000020.state.h5", repeated("state ", 100));
  return {.step = step, .trained_tokens = 1920, .trajectory_hash = "0123456789abcdef", .weights = describe_file(weights, {{"weights", {64, 128}}}),
          .state = describe_file(state, {{"m", {8, 100}}, {"v", {100, 200}}})};
}

}  // namespace

std::vector<std::string> valid_inputs() {
  CommitRecord with_state = record(), without = with_state, stopped = with_state;
  without.state.reset();
  stopped.open = {OpenEnds::Temporary::checkpoint, true};
  return {with_state.to_json().dump(2), without.to_json().dump(2), stopped.to_json().dump(2)};
}

std::vector<std::string> hostile_inputs() {
  std::string deep = valid_inputs()[0];
  deep.insert(1, "\"more\": " + nested_lists(100'000) + ",");
  return {deep, nested_lists(100'000), repeated("{\"a\":", 100'000)};
}

}  // namespace lawa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const std::string text = fuzz::text_of(data, size);
  const auto read = [](const std::string& record_text) {
    fuzz::put(record_path(fuzz::folder(), fuzz::step), record_text);
    return fuzz::expect_answer([] {
      const CommitRecord record = read_record(record_path(fuzz::folder(), fuzz::step));
      const FileRest rest = verify_file(fuzz::folder(), record.weights);
      if (record.state) verify_file(fuzz::folder(), *record.state);
      rest.at({0, 8});
    });
  };
  return read(text) + read(fuzz::signed_again(text));
}
