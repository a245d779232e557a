// What averages are called, in words and in files.
#include "average/scheme.hpp"

#include <gtest/gtest.h>

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

TEST(Scheme, OfflineAndOnlineAreOneSpec) {
  const auto plan = averaging_plan({.scheme = "sliding", .window = {2}, .stride = {10}, .first = 20}, {10, 20, 30});
  const AverageSpec online = spec_of({.window = 2, .stride = 10, .first = 20});
  EXPECT_EQ(name(plan[0].spec), name(online));
  EXPECT_EQ(describe(plan[0].spec, 2), describe(online, 2));
  EXPECT_EQ(describe(online, 2).dump(), R"({"scheme":"lawa","window":2,"stride":10,"first":20})");
  EXPECT_EQ(describe(spec_of({.scheme = "ema", .beta = 0.5, .warmup = true}), 7).dump(),
            R"({"scheme":"ema","window":7,"stride":1,"beta":0.5,"warmup":true})");
}

TEST(Scheme, FilesWrittenBeforeAreRead) {
  EXPECT_EQ(in_todays_words({{"scheme", "sliding"}, {"window", 3}}).dump(), R"({"scheme":"lawa","window":3})");
  EXPECT_EQ(in_todays_words({{"scheme", "swa"}}).dump(), R"({"scheme":"swa"})");
  EXPECT_EQ(in_todays_words(nullptr), nullptr);
}

}  // namespace
}  // namespace lawa
