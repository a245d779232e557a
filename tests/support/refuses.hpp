// How a config answers a wrong value.
#pragma once
#include "core/config.hpp"
#include "support/errors.hpp"

namespace lawa::test {

/// EXPECT_TRUE(refuses<ScheduleConfig>("steps=0")): the error begins with the key and its place.
template <class Config>
testing::AssertionResult refuses(const std::string& word) {
  ConfigSource source;
  source.add_override(word);
  const std::string message = error_of([&] { load_config<Config>(source); });
  const bool refused = message.starts_with(word.substr(0, word.find('=')) + " (command line)");
  return testing::AssertionResult(refused) << word << ": " << message;
}

}  // namespace lawa::test
