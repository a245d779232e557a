// What averages are called, in words and in files.
#include "average/scheme.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "average/averaging_plan.hpp"
#include "average/online_config.hpp"
#include "support/errors.hpp"

namespace lawa {
namespace {

TEST(Scheme, EveryNameIsItsScheme) {
  for (const std::string& word : scheme_names()) EXPECT_EQ(name(scheme_of(word, "here")), word);
  EXPECT_EQ(scheme_of("1-sqrt", "here"), Scheme::one_minus_sqrt);
  EXPECT_EQ(scheme_of("sliding", "here"), Scheme::lawa);
  EXPECT_EQ(test::error_of([] { scheme_of("median", "average.h5"); }),
            "average.h5: scheme \"median\" is none of: lawa, tumbling, lawa_released, swa, ema, linear, 1-sqrt, curve, weights");
}

TEST(Scheme, NamesAndFoldersSayWhatAnAverageIs) {
  const auto is = [](const OnlineAverageConfig& config, const char* called, const char* kept_in) {
    EXPECT_EQ(name(spec_of(config)), called);
    EXPECT_EQ(folder(spec_of(config)), kept_in);
  };
  is({.window = 5, .stride = 200}, "lawa(k=5,nu=200)", "lawa_k005_nu000200");
  is({.scheme = "ema", .beta = 0.999}, "ema(beta=0.999,nu=1)", "ema_nu000001_beta0.999");
  is({.scheme = "ema", .beta = 0.9, .warmup = true}, "ema(beta=0.9,nu=1,warmup)", "ema_nu000001_beta0.9_warmup");
  is({.scheme = "swa", .stride = 10, .first = 50, .last = 90}, "swa(nu=10,first=50,last=90)", "swa_nu000010_first50_last90");
}

TEST(Scheme, ModelsOfAnEntryAreNamedByWhatTheirEvaluationAdds) {
  std::vector<std::string> names;
  for (const AverageSpec& model : models_of({.scheme = "ema", .half_life = 0.05, .blend = {0, 0.6, 1, 2}, .exclude = {"wte", "wpe"}}))
    names.push_back(name(model));
  EXPECT_THAT(names,
              testing::ElementsAre("ema(half_life=0.05,nu=1,exclude=wte+wpe,blend=0)", "ema(half_life=0.05,nu=1,exclude=wte+wpe,blend=0.6)",
                                   "ema(half_life=0.05,nu=1,exclude=wte+wpe)", "ema(half_life=0.05,nu=1,exclude=wte+wpe,blend=2)"));
  const OnlineAverageConfig steps{.scheme = "ema", .stride = 4, .half_life_steps = 50};
  EXPECT_EQ(name(spec_of(steps)), "ema(half_life_steps=50,nu=4)");
  EXPECT_EQ(folder(spec_of(steps)), "ema_nu000004_half_life_steps50");
  EXPECT_EQ(models_of(steps).size(), 1u);
}

TEST(Scheme, WhatAnEmaKeepsHasHalvedAfterItsHalfLife) {
  AverageSpec spec{.scheme = Scheme::ema, .stride = 10, .half_life_steps = 10};
  EXPECT_EQ(kept(spec, 0, 10), 0) << "the first snapshot is the average";
  EXPECT_EQ(kept(spec, 5, 60), 0.5);
  spec.half_life_steps = 0;
  spec.half_life = 0.25;
  EXPECT_EQ(kept(spec, 3, 40), 0.5);
  EXPECT_EQ(kept(spec, 3, 20), 0.25);
  spec.warmup = true;
  EXPECT_EQ(kept(spec, 1, 40), 1 - std::pow(2.0, -2.0 / 3));
}

TEST(Scheme, ExcludesWholeNames) {
  EXPECT_TRUE(excludes("wte", "wte.weight") && excludes("h.1", "h.1.ln_1.weight") && excludes("wte.weight", "wte.weight"));
  EXPECT_FALSE(excludes("h.1", "h.10.ln_1.weight") || excludes("wt", "wte.weight") || excludes("weight", "wte.weight"));
}

TEST(Scheme, OfflineAndOnlineAreOneSpec) {
  const auto plan = averaging_plan({.scheme = "sliding", .window = {2}, .stride = {10}, .first = 20}, {10, 20, 30});
  const AverageSpec online = spec_of({.window = 2, .stride = 10, .first = 20});
  EXPECT_EQ(name(plan[0].spec), name(online));
  EXPECT_EQ(describe(plan[0].spec, 2), describe(online, 2));
  EXPECT_EQ(describe(online, 2).dump(), R"({"scheme":"lawa","window":2,"stride":10,"first":20})");
  EXPECT_EQ(describe(spec_of({.scheme = "ema", .beta = 0.5, .warmup = true}), 7).dump(),
            R"({"scheme":"ema","window":7,"stride":1,"beta":0.5,"warmup":true})");
  EXPECT_EQ(describe(models_of({.scheme = "ema", .half_life = 0.05, .blend = {0.5}, .exclude = {"wte"}})[0], 7).dump(),
            R"({"scheme":"ema","window":7,"stride":1,"half_life":0.05,"exclude":["wte"],"blend":0.5})");
}

TEST(Scheme, FilesWrittenBeforeAreRead) {
  EXPECT_EQ(in_todays_words({{"scheme", "sliding"}, {"window", 3}}).dump(), R"({"scheme":"lawa","window":3})");
  EXPECT_EQ(in_todays_words({{"scheme", "swa"}}).dump(), R"({"scheme":"swa"})");
  EXPECT_EQ(in_todays_words(nullptr), nullptr);
}

}  // namespace
}  // namespace lawa
