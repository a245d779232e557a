// Which of some files comes when.
#include "average/order_of_files.hpp"

#include <gmock/gmock.h>

#include "support/errors.hpp"

namespace lawa {
namespace {

using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Files = std::vector<std::filesystem::path>;

std::vector<int64_t> steps(const Files& files) { return order_of(files).steps; }

TEST(OrderOfFiles, IsThatOfTheStepsInTheirNames) {
  EXPECT_THAT(steps({"r/step=100.pt", "r/step=30.pt"}), ElementsAre(100, 30));
  EXPECT_THAT(steps({"/r/epoch=0-step=100.pt", "/r/epoch=1-step=200.pt"}), ElementsAre(100, 200));
  EXPECT_THAT(steps({"ckpt_100", "step_9k"}), ElementsAre(100, 9000)) << "of two kinds";
  EXPECT_THAT(steps({"step7.pt"}), ElementsAre(7)) << "one file";
  EXPECT_EQ(order_of({"step3.pt", "step4.pt"}).how, "");
}

TEST(OrderOfFiles, IsThatOfTokensOrEpochsWhereStepsDoNotTellFilesApart) {
  EXPECT_THAT(steps({"tokens4B.pt", "tokens500M.pt"}), ElementsAre(4'000'000'000, 500'000'000));
  EXPECT_THAT(steps({"epoch_10.pt", "epoch_9.pt"}), ElementsAre(10, 9));
  EXPECT_THAT(steps({"epoch=1-step=0.pt", "epoch=2-step=0.pt"}), ElementsAre(1, 2));
  EXPECT_THAT(steps({"epoch=0.pt", "epoch=1.pt"}), ElementsAre(1, 2)) << "an epoch 0 was trained";
  EXPECT_THAT(order_of({"epoch=0.pt", "epoch=1.pt"}).how, HasSubstr("epoch 0 is taken for step 1"));
  EXPECT_THAT(order_of({"tokens1B.pt", "tokens2B.pt"}).how, HasSubstr("count tokens"));
  EXPECT_THAT(steps({"checkpoint_1_100.pt", "checkpoint_1_200.pt"}), ElementsAre(100, 200));
}

TEST(OrderOfFiles, FoldersThatAllHaveInCommonSayNothing) {
  EXPECT_THAT(steps({"/x/checkpoint-7/step1.pt", "/x/checkpoint-7/final.pt"}), ElementsAre(1, 2));
  EXPECT_THAT(steps({"run_step_9/b.pt", "run_step_9/a.pt"}), ElementsAre(1, 2)) << "the list's order";
}

TEST(OrderOfFiles, OneFinalFileIsBehindTheNewest) {
  const FileOrder order = order_of({"step10.pt", "final.pt", "step20.pt"});
  EXPECT_THAT(order.steps, ElementsAre(10, 21, 20));
  EXPECT_EQ(order.newest, 1u);
  EXPECT_THAT(steps({"o/checkpoint-500/model.safetensors", "o/checkpoint-1000/model.safetensors", "o/model.safetensors"}), ElementsAre(500, 1000, 1001));
  EXPECT_THAT(steps({"epoch=0.ckpt", "epoch=1.ckpt", "last.ckpt"}), ElementsAre(1, 2, 3));
}

TEST(OrderOfFiles, OthersWithoutAStepAreRefused) {
  EXPECT_THAT(error_of([] { steps({"step10.pt", "best.pt", "step20.pt"}); }),
              AllOf(HasSubstr("best.pt: no step in the name, and step10.pt has one (10)"), HasSubstr("averaging.order=list")));
  EXPECT_THAT(error_of([] { steps({"a.pt", "final.pt", "step20.pt"}); }), HasSubstr("a.pt and 1 more: no step in the name"));
  EXPECT_THAT(error_of([] { steps({"step10/model.pt", "model.pt", "step10.pt", "x.pt"}); }), HasSubstr("model.pt and 1 more"));
  EXPECT_THAT(order_of({"step20.pt", "best.pt", "step10.pt"}, true).steps, ElementsAre(1, 2, 3));
}

TEST(OrderOfFiles, OfTheSameStepIsThatOfTheListWhereItDoesNotContradictTheSteps) {
  EXPECT_THAT(steps({"step3/a.pt", "step3/b.pt"}), ElementsAre(1, 2));
  EXPECT_THAT(steps({"seed_1/step3.pt", "seed_2/step3.pt"}), ElementsAre(1, 2));
  EXPECT_THAT(steps({"a/step1.pt", "b/step1.pt", "a/step2.pt"}), ElementsAre(1, 2, 3));
  EXPECT_THAT(error_of([] { steps({"a/step1.pt", "a/step2.pt", "b/step1.pt"}); }),
              AllOf(HasSubstr("a/step2.pt stands before b/step1.pt in the list, against their steps (2, 1)"), HasSubstr("averaging.order=list")));
  EXPECT_THAT(error_of([] { steps({"a/step1.pt", "final.pt", "b/step1.pt"}); }), HasSubstr("final.pt stands before b/step1.pt"));
}

TEST(OrderOfFiles, WithoutStepsIsThatOfTheList) {
  EXPECT_THAT(steps({"c.pt", "a.pt", "b.pt"}), ElementsAre(1, 2, 3));
  EXPECT_THAT(steps({"writer7/a.pt", "writer5/b.pt"}), ElementsAre(1, 2)) << "names of two kinds";
  EXPECT_THAT(steps({"model2.pt", "model10.pt"}), ElementsAre(1, 2));
  EXPECT_THAT(order_of({"c.pt", "a.pt"}).how, HasSubstr("their places in the list count"));
}

TEST(OrderOfFiles, WithoutStepsIsTheNaturalOneWhereTheListIsTheShells) {
  const FileOrder order = order_of({"model1.pt", "model10.pt", "model2.pt"});
  EXPECT_THAT(order.steps, ElementsAre(1, 3, 2));
  EXPECT_THAT(order.how, HasSubstr("the order of their numbers"));
  EXPECT_THAT(steps({"model10.pt", "model1.pt", "model2.pt"}), ElementsAre(3, 1, 2)) << "as a shell sorts where a point doesn't count";
}

TEST(OrderOfFiles, AListAgainstTheNumbersInNamesIsRefused) {
  EXPECT_THAT(error_of([] { steps({"model2.pt", "model10.pt", "model5.pt"}); }),
              AllOf(HasSubstr("model10.pt stands before model5.pt in the list, against their numbers"), HasSubstr("step_1000"),
                    HasSubstr("averaging.order=list")));
  EXPECT_THAT(error_of([] { steps({"z.pt", "run2/b.pt", "run1/b.pt"}); }), HasSubstr("run2/b.pt stands before run1/b.pt"));
  EXPECT_THAT(order_of({"model2.pt", "model10.pt", "model5.pt"}, true).steps, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace lawa
