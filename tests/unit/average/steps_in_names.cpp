// name -> step.
#include "average/steps_in_names.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace lawa {
namespace {

struct Row {
  const char* path;
  int64_t number;  ///< nothing: -1
};
constexpr int64_t nothing = -1;

void expect(Counted counted, const std::vector<Row>& table) {
  for (const auto& [path, number] : table) EXPECT_EQ(number_in(path, counted).value_or(nothing), number) << path;
}

TEST(StepsInNames, OfTrainers) {
  expect(Counted::steps, {
      {"step1000/model.safetensors", 1000},                        // Pythia
      {"step1000-unsharded/model.safetensors", 1000},              // OLMo
      {"step1000-tokens4B/model.safetensors", 1000},
      {"stage1-step5000-tokens21B/model.safetensors", 5000},
      {"checkpoint-500/model.safetensors", 500},                   // Hugging Face
      {"checkpoint-500/pytorch_model.bin", 500},
      {"epoch=3-step=300.ckpt", 300},                              // Lightning
      {"epoch=3-step=300-v1.ckpt", 300},
      {"lightning_logs/version_0/checkpoints/epoch=3-step=300.ckpt", 300},
      {"gpt--val_loss=2.41-step=3000-consumed_samples=768000.0.ckpt", 3000},  // NeMo
      {"ep8-ba100", 100},                                          // Composer
      {"ep0-ba2500-rank0.pt", 2500},
      {"iter_0000100/mp_rank_00/model_optim_rng.pt", 100},         // Megatron
      {"global_step100/mp_rank_00_model_states.pt", 100},          // DeepSpeed
      {"checkpoint_3_5000.pt", 5000},                              // fairseq
      {"checkpoint3.pt", 3},
      {"rl_model_100_steps.zip", 100},                             // Stable-Baselines3
      {"model.ckpt-1000", 1000},                                   // TensorFlow
      {"model.ckpt-1000.index", 1000},
      {"step-00001000/lit_model.pth", 1000},                       // LitGPT
      {"epoch_0/step_100/model.safetensors", 100},                 // torchtune
      {"0000001000/consolidated.pth", 1000},                       // Lingua
      {"checkpoints/1000/items", 1000},                            // MaxText
      {"name-step00001000.safetensors", 1000},                     // sd-scripts
      {"iteration_30000/point_cloud.ply", 30000},
      {"iter_9000.pth", 9000},
      {"model_0000999.pth", 999},                                  // Detectron2
  });
}

TEST(StepsInNames, HaveManyForms) {
  expect(Counted::steps, {
      {"step=100", 100}, {"step_100", 100}, {"step-100", 100}, {"step 100", 100}, {"step100", 100}, {"step.100", 100},
      {"Step_100", 100}, {"STEP100", 100}, {"rlModelStep100", 100}, {"steps_100.pt", 100}, {"m.step_20.safetensors", 20},
      {"ckpt-100", 100}, {"ckpt_100", 100}, {"ckpt100.pt", 100}, {"Checkpoint-5", 5}, {"model_100", 100}, {"model-100.h5", 100},
      {"weights_100.npz", 100}, {"some_100_steps.pt", 100}, {"100steps.pt", 100}, {"100-iters", 100}, {"1_step_100", 100},
      {"step_9k", 9000}, {"step_9K", 9000}, {"step-1.5k", 1500}, {"step2M", 2'000'000}, {"step_0.5M", 500'000}, {"9k_steps.pt", 9000},
      {"9kSteps", 9000}, {"model_100k", 100'000}, {"12.safetensors", 12}, {"3k.safetensors", 3000}, {"step0", 0}, {"step_000", 0},
      {"step999999999999999999", 999'999'999'999'999'999}, {"warmup200_step_100", 100}, {"max_steps=1000-step=300", 300},
      {"step=300-max_steps=1000", 300}, {"checkpoint-2/step100.pt", 100}, {"step100/checkpoint-2.pt", 100}, {"step100/step7.pt", 7},
      {"seed=1/lr=1e-3/step=40.safetensors", 40},
  });
}

TEST(StepsInNames, AreNotOtherNumbers) {
  for (const char* path : {"model.safetensors", "model2.safetensors", "step1e3.safetensors", "writer7/a.safetensors", "footstep7.h5", "step.h5",
                           "step1000abc", "step1.5", "model_7B.safetensors", "model_125M.safetensors", "model-0.5.h5", "gpt2-124M.h5", "run_7/a.h5",
                           "model-00001-of-00004.safetensors", "checkpoint-best", "max_steps=1000", "save_every_step_100", "step1000000000000000000",
                           "llama3.safetensors", "v1.2.3", "2024-05-01/a.h5", "seed_3.h5", "best.pt", "", "/", "_", "step", "k", "日本語7.h5"})
    EXPECT_EQ(number_in(path, Counted::steps), std::nullopt) << path;
}

TEST(StepsInNames, TokensAndEpochsAreNumbersOfTheirOwn) {
  expect(Counted::tokens, {{"step1000-tokens4B/model.safetensors", 4'000'000'000}, {"tokens_500M.pt", 500'000'000}, {"10BT-tokens.pt", 10'000'000'000},
                           {"0.5T_tokens", 500'000'000'000}, {"consumed_samples=768000", 768'000}, {"step1000", nothing}, {"tokenizer7", nothing}});
  expect(Counted::epochs, {{"epoch=3-step=300.ckpt", 3}, {"epoch_3.pt", 3}, {"ep8-ba100", 8}, {"12epoch.pth", 12}, {"Epoch-07", 7}, {"deep8", nothing},
                           {"step3", nothing}});
}

TEST(StepsInNames, FinalAndLastAreTheNewest) {
  for (const char* path : {"final.safetensors", "model_final.pth", "last.ckpt", "last-v1.ckpt", "checkpoint_last.pt", "final/model.safetensors", "latest.h5",
                           "FinalModel.h5"})
    EXPECT_TRUE(says_newest(path)) << path;
  for (const char* path : {"best.ckpt", "model.safetensors", "finalist.h5", "final/x/model.safetensors", "blast.h5"}) EXPECT_FALSE(says_newest(path)) << path;
}

TEST(StepsInNames, APatternIsANameWithoutItsNumbers) {
  EXPECT_EQ(pattern_of("a1/model10.h5"), pattern_of("a02/model9.h5"));
  EXPECT_NE(pattern_of("a/model10.h5"), pattern_of("b/model10.h5"));
}

}  // namespace
}  // namespace lawa
