// What an expected error says.
#pragma once
#include <gmock/gmock.h>

#include <string>

#include "core/error.hpp"

namespace lawa::test {

/// The message of the lawa::Error that `work` throws; "no error" when it throws none. Other exceptions pass.
///   EXPECT_THAT(error_of([&] { load_config<Example>(source); }), HasSubstr("run.toml:3"));
template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace lawa::test
