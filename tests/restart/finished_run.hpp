// The fixture of tests that begin with a finished run.
#pragma once
#include <gtest/gtest.h>

#include <memory>

#include "restart/tiny_run.hpp"
#include "support/temporary_directory.hpp"

namespace lawa::test {

/// One finished run for all tests of a suite, which leave it as it is, and a folder for each test.
class FinishedRun : public testing::Test {
 protected:
  struct Shared {
    TemporaryDirectory directory;
    Communicator comm = Communicator::world();
    TrainConfig config = finished_run(comm, directory / "finished");
  };
  static void SetUpTestSuite() { shared_ = std::make_unique<Shared>(); }
  static void TearDownTestSuite() { shared_.reset(); }
  static inline std::unique_ptr<Shared> shared_;

  const Communicator& comm_ = shared_->comm;
  const TrainConfig& finished_ = shared_->config;
  const TemporaryDirectory directory_;

  /// tiny_run() of a copy of the finished run.
  TrainConfig copy() const { return copy_run(comm_, shared_->directory / "finished", directory_ / "copy"); }
};

}  // namespace lawa::test
