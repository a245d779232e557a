// Which key is meant by one that isn't known.
#include "core/nearest_key.hpp"

#include <gtest/gtest.h>

namespace lawa {
namespace {

std::string nearest(const std::string& key) {
  return nearest_keys(key, {{"seed", "of the initial weights"}, {"model.layers", "transformer blocks L"}, {"optimizer.eps", "AdamW's epsilon"},
                            {"schedule.steps", "optimizer steps"}, {"evaluate.steps", "evaluate every so many steps"},
                            {"schedule.peak_lr", "learning rate after the warm-up"}, {"schedule.final_lr", "learning rate at the end"},
                            {"schedule.warmup_steps", "steps of linear warm-up"}, {"batch.global_sequences", "sequences of one optimizer step"}});
}

TEST(NearestKeys, AreThoseOfASlip) {
  EXPECT_EQ(nearest("modle.layers"), "; did you mean model.layers?");
  EXPECT_EQ(nearest("model.layer"), "; did you mean model.layers?");
  EXPECT_EQ(nearest("sed"), "; did you mean seed?");
  EXPECT_EQ(nearest("sede"), "; did you mean seed?") << "two letters exchanged";
}

TEST(NearestKeys, AreOfTheSameNameInAnotherTable) {
  EXPECT_EQ(nearest("train.seed"), "; did you mean seed?");
  EXPECT_EQ(nearest("layers"), "; did you mean model.layers?");
  EXPECT_EQ(nearest("optimizer.steps"), "; did you mean evaluate.steps or schedule.steps?");
}

TEST(NearestKeys, ShareWordsWithTheNameOrItsHelp) {
  EXPECT_EQ(nearest("optimizer.lr"), "; did you mean schedule.final_lr or schedule.peak_lr?");
  EXPECT_EQ(nearest("train.warmup"), "; did you mean schedule.warmup_steps?");
  EXPECT_EQ(nearest("optimizer.learning_rate"), "; did you mean schedule.final_lr or schedule.peak_lr?");
  EXPECT_EQ(nearest("model.blocks"), "; did you mean model.layers?");
}

TEST(NearestKeys, AreNoneWhereNothingIsLikeIt) {
  for (const char* key : {"nothing.like_it", "x", "a.b.c", "", "."}) EXPECT_EQ(nearest(key), "") << key;
}

}  // namespace
}  // namespace lawa
