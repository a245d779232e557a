// The loss on a fixed set: whoever computes which part of it.
#include "evaluate/evaluator.hpp"

#include <gtest/gtest.h>

#include "support/errors.hpp"
#include "support/near.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_models.hpp"
#include "support/token_files.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::HasSubstr;

/// A tiny model and two validation files with 7 + 3 windows.
class Evaluators : public testing::Test {
 protected:
  const ModelConfig config = test::tiny_model();
  const Communicator comm = Communicator::world();
  const test::TemporaryDirectory folder;
  const std::vector<std::vector<uint16_t>> files{tokens(7 * config.context + 5, 1), tokens(3 * config.context + 1, 2)};
  const TokenSet set = token_set();
  const Exec exec{};
  const TokenBatch all = windows();

  std::vector<uint16_t> tokens(int64_t n, uint64_t seed) const {
    const auto ids = test::token_ids(n, config.vocabulary, seed);
    return {ids.begin(), ids.end()};
  }
  TokenSet token_set() const {
    comm.on_root([&] {
      test::write_tokens(folder / "0.bin", files[0]);
      test::write_tokens(folder / "1.bin", files[1]);
    });
    return TokenSet({(folder / "0.bin").string(), (folder / "1.bin").string()}, "data.validation");
  }

  LanguageModel model_for(int64_t sequences) const {
    const std::vector<float> weights = test::random_weights(config);
    LanguageModel model(config, sequences, std::ssize(weights), Purpose::evaluation, Precision::fp32);
    test::set(model.float_weights(), weights);
    return model;
  }

  /// All windows, cut by hand. Slices of it don't own their memory.
  TokenBatch windows() const {
    std::vector<int32_t> inputs, targets;
    for (const auto& file : files)
      for (auto at = file.begin(); file.end() - at > config.context; at += config.context) {
        inputs.insert(inputs.end(), at, at + config.context);
        targets.insert(targets.end(), at + 1, at + config.context + 1);
      }
    const int64_t count = std::ssize(inputs) / config.context;
    return {test::matrix(count, config.context, inputs), test::matrix(count, config.context, targets)};
  }
};

TEST_F(Evaluators, ComputeTheModelsLossWhateverTheRanksAndBatches) {
  LanguageModel model = model_for(10);
  for (const int64_t sequences : {1, 2, 8, 10}) {
    const double expected = model.loss(exec, test::slice_of(all, {0, sequences})) / static_cast<double>(sequences * config.context);
    for (const int64_t batch_sequences : {1, 2, 3, 10}) {
      const auto result = Evaluator(set, sequences, batch_sequences, config.context, comm).evaluate(exec, model);
      EXPECT_EQ(result.tokens, sequences * config.context);
      EXPECT_NEAR(result.loss, expected, 1e-6 * expected) << sequences << " sequences in batches of " << batch_sequences;
    }
  }
}

TEST_F(Evaluators, HalvesAreLossesOfTheFirstAndTheSecondWindows) {
  LanguageModel model = model_for(10);
  for (const int64_t sequences : {2, 7, 10}) {
    const int64_t middle = (sequences + 1) / 2;
    const auto loss_of = [&](Range some) {
      return model.loss(exec, test::slice_of(all, some)) / static_cast<double>(some.size() * config.context);
    };
    const auto result = Evaluator(set, sequences, 3, config.context, comm, true).evaluate(exec, model);
    ASSERT_TRUE(result.halves.has_value());
    const double tune = loss_of({0, middle}), report = loss_of({middle, sequences});
    EXPECT_NEAR(result.halves->tune_loss, tune, 1e-6 * tune) << sequences;
    EXPECT_NEAR(result.halves->report_loss, report, 1e-6 * report) << sequences;
    const auto first = static_cast<double>(middle), second = static_cast<double>(sequences - middle);
    EXPECT_DOUBLE_EQ(result.loss, (result.halves->tune_loss * first + result.halves->report_loss * second) / (first + second));
    EXPECT_EQ(result.tokens, sequences * config.context);
  }
  EXPECT_FALSE(Evaluator(set, 2, 3, config.context, comm).evaluate(exec, model).halves.has_value());
  EXPECT_THAT(error_of([&] { Evaluator(set, 1, 1, config.context, comm, true); }),
              HasSubstr("evaluate.halves: the validation set has only 1 sequence"));
}

TEST_F(Evaluators, RepeatBitForBit) {
  LanguageModel model = model_for(4);
  const Evaluator evaluator(set, 0, 4, config.context, comm);
  EXPECT_EQ(evaluator.evaluate(exec, model).loss, evaluator.evaluate(exec, model).loss);
}

TEST_F(Evaluators, ZeroMeansAllAndMoreThanAllIsRefused) {
  LanguageModel model = model_for(4);
  EXPECT_EQ(Evaluator(set, 0, 4, config.context, comm).evaluate(exec, model).tokens, 10 * config.context);
  EXPECT_THAT(error_of([&] { Evaluator(set, 11, 4, config.context, comm); }),
              HasSubstr("data.validation_sequences: 11 are asked for, and the validation tokens hold 10"));
}

TEST_F(Evaluators, BatchBuffersShiftTargetsByOneToken) {
  BatchBuffer buffer(3, config.context);
  const auto window = [&](int64_t i) { return set.consecutive_window(i, config.context); };
  buffer.load({window(4), window(5), window(6)});
  const TokenBatch loaded = buffer.load({window(0), window(1)});
  EXPECT_EQ(test::values(loaded.inputs), test::values(test::slice_of(all, {0, 2}).inputs)) << "two sequences, and nothing of the three before";
  EXPECT_EQ(test::values(loaded.targets), test::values(test::slice_of(all, {0, 2}).targets));
}

}  // namespace
}  // namespace lawa
