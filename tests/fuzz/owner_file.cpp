// The file in which another process says who works in a folder.
#include "core/owner_file.hpp"

#include "core/error.hpp"
#include "fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  const auto path = fuzz::put("run.lock.owner", fuzz::text_of(data, size));
  return fuzz::expect_answer([&] {
    std::string words;
    const auto mine = OwnerFile::take(path, words);  // it is fresh: another one's
    LAWA_CHECK(mine != nullptr || holder_name(words).starts_with("pid "), "another process: ", holder_name(words));
  });
}

namespace lawa::fuzz {

std::vector<std::string> valid_inputs() { return {"node17 4711 88", "node17 4711 -\n"}; }
std::vector<std::string> hostile_inputs() { return {repeated("a", 250'000), repeated("a ", 100'000)}; }

}  // namespace lawa::fuzz
