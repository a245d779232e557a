// Averages of weights that pass by: their numbers against plain loops over all snapshots, and their state.
#include "average/online.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "average/averaging_plan.hpp"
#include "average/exact_mean.hpp"
#include "reference/mean.hpp"
#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Floats = std::vector<float>;

constexpr int64_t size = 5000;

/// The weights after a step: signs, zeros of both signs and a wide range of magnitudes.
Floats weights_at(int64_t step) {
  Floats values = test::normals(size, static_cast<uint64_t>(step), 0.02);
  for (size_t i = 0; i < values.size(); i += 7) values[i] = std::ldexp(values[i], static_cast<int>(i % 80) - 40);
  for (size_t i = 3; i < values.size(); i += 11) values[i] = i % 2 == 0 ? 0.0f : -0.0f;
  return values;
}

class Online : public testing::Test {
 protected:
  const Exec exec_{};
  const ShardLayout layout_{size, 0, 1};

  void observe(OnlineAverages& averages, int64_t from, int64_t to) const {
    for (int64_t step = from; step <= to; ++step) {
      const Vector<float> local = zeros<float>("test::weights", layout_.local_size());
      const HostVector<float> host = Kokkos::create_mirror_view(local);
      std::ranges::copy(weights_at(step), host.data());
      copy(local, host);
      averages.observe(exec_, step, local);
      EXPECT_TRUE(test::same_bits(floats(local), weights_at(step))) << "the run's own weights";
    }
  }
  Floats floats(const Vector<float>& local) const {
    const HostVector<float> host = on_host(local);
    return {host.data(), host.data() + size};
  }
  Floats average(const OnlineAverages& averages, size_t i) const {
    const Vector<float> local = zeros<float>("test::average", layout_.local_size());
    averages.average(exec_, i, local);
    return floats(local);
  }
  /// A second object that goes on from the state of the first.
  OnlineAverages restored(const OnlineAverages& from, const std::vector<OnlineAverageConfig>& configs) const {
    OnlineAverages to(configs, layout_);
    const auto kept = from.arrays();
    to.restore(Json::parse(from.description().dump()), [&](const std::vector<ShardArray>& wanted) {
      for (const ShardArray& array : wanted) {
        const auto found = std::ranges::find(kept, array.name, &ShardArray::name);
        ASSERT_NE(found, kept.end()) << array.name;
        std::visit([&]<class T>(const Vector<T>& out) { copy(out, std::get<Vector<T>>(found->local)); }, array.local);
      }
    });
    return to;
  }
};

/// What the offline job makes of checkpoints at some steps, under the same scheme: the average at its last step.
Floats offline(const AveragingConfig& config, const std::vector<int64_t>& steps) {
  const Average average = averaging_plan(config, steps).back();
  std::vector<Floats> members;
  std::vector<const float*> data;
  for (const Member& member : average.members) members.push_back(weights_at(member.step));
  for (const Floats& member : members) data.push_back(member.data());
  Floats out(static_cast<size_t>(size));
  const std::vector<MeanOfFirst> wanted{{std::ssize(data), out.data()}};
  uniform_means(data, wanted, size, Rounding::float32);
  return out;
}

TEST_F(Online, LawaIsTheOfflineAverageBitForBit) {
  OnlineAverages averages({{.window = 3, .stride = 2}, {.window = 2, .stride = 4, .first = 5}, {.window = 1, .stride = 7}}, layout_);
  for (int64_t step = 1; step <= 20; ++step) {
    observe(averages, step, step);
    std::vector<int64_t> passed;
    for (int64_t s = 1; s <= step; ++s) passed.push_back(s);
    if (step >= 6) {
      EXPECT_EQ(averages.step(0), step / 2 * 2);
      EXPECT_TRUE(test::same_bits(average(averages, 0), offline({.window = {3}, .stride = {2}}, passed))) << step;
    } else {
      EXPECT_EQ(averages.step(0), 0) << "no three snapshots yet";
    }
    if (step >= 12) {
      EXPECT_TRUE(test::same_bits(average(averages, 1), offline({.window = {2}, .stride = {4}, .first = 5}, passed))) << step;
    }
  }
  EXPECT_TRUE(test::same_bits(average(averages, 2), weights_at(14))) << "a window of one is the snapshot";
}

TEST_F(Online, EmaIsItsRecurrenceInFloat64RoundedOnce) {
  OnlineAverages averages({{.scheme = "ema", .beta = 0.99}, {.scheme = "ema", .stride = 3, .first = 4, .beta = 0.5}}, layout_);
  observe(averages, 1, 30);
  const auto recurrence = [&](double beta, int64_t stride, int64_t first) {
    std::vector<double> e;
    for (int64_t step = first; step <= 30; step += stride) {
      const Floats x = weights_at(step);
      if (e.empty()) e.assign(x.begin(), x.end());
      else
        for (size_t i = 0; i < e.size(); ++i) {
          const volatile double kept = beta * e[i], added = (1 - beta) * static_cast<double>(x[i]);  // volatile: two roundings
          e[i] = kept + added;
        }
    }
    return Floats(e.begin(), e.end());
  };
  EXPECT_TRUE(test::same_bits(average(averages, 0), recurrence(0.99, 1, 1)));
  EXPECT_TRUE(test::same_bits(average(averages, 1), recurrence(0.5, 3, 6)));
  EXPECT_EQ(averages.step(1), 30);
}

TEST_F(Online, HalfLivesAreTheirRecurrenceInFloat64) {
  OnlineAverages averages({{.scheme = "ema", .stride = 3, .half_life_steps = 7}, {.scheme = "ema", .first = 5, .half_life = 0.25}}, layout_);
  observe(averages, 1, 30);
  const auto recurrence = [&](int64_t stride, int64_t first, const std::function<double(double)>& keep) {
    std::vector<double> e;
    for (int64_t step = first; step <= 30; step += stride) {
      const Floats x = weights_at(step);
      const double some = e.empty() ? 0 : keep(static_cast<double>(step));
      e.resize(x.size());
      for (size_t i = 0; i < e.size(); ++i) {
        const volatile double kept = some * e[i], added = (1 - some) * static_cast<double>(x[i]);  // volatile: two roundings
        e[i] = kept + added;
      }
    }
    return Floats(e.begin(), e.end());
  };
  EXPECT_TRUE(test::near(average(averages, 0), recurrence(3, 3, [](double) { return std::pow(2, -3.0 / 7); }), 1e-7));
  EXPECT_TRUE(test::near(average(averages, 1), recurrence(1, 5, [](double t) { return std::pow(2, -1 / (0.25 * t)); }), 1e-7));
  EXPECT_EQ(averages.name(0), "ema(half_life_steps=7,nu=3)");
  EXPECT_EQ(averages.name(1), "ema(half_life=0.25,nu=1,first=5)");
}

// min(beta, 1 - (1 + t)^(-2/3)): the paper's code, arXiv 2306.03241.
TEST_F(Online, EmaWarmsUpAsThePapersCode) {
  OnlineAverages averages({{.scheme = "ema", .beta = 0.9, .warmup = true}}, layout_);
  observe(averages, 1, 60);
  std::vector<double> e(static_cast<size_t>(size));
  for (int64_t t = 0; t < 60; ++t) {
    const double beta = std::min(0.9, 1 - std::pow(1.0 + static_cast<double>(t), -2.0 / 3));
    const Floats x = weights_at(t + 1);
    for (size_t i = 0; i < e.size(); ++i) e[i] = beta * e[i] + (1 - beta) * static_cast<double>(x[i]);
  }
  EXPECT_TRUE(test::near(average(averages, 0), Floats(e.begin(), e.end()), 1e-7));
}

TEST_F(Online, SwaIsTheMeanOfAllSnapshots) {
  OnlineAverages averages({{.scheme = "swa", .stride = 2, .first = 3, .last = 17}}, layout_);
  observe(averages, 1, 5);
  EXPECT_EQ(averages.step(0), 0) << "one snapshot is no average";
  observe(averages, 6, 25);
  EXPECT_EQ(averages.step(0), 16);
  EXPECT_TRUE(test::same_bits(average(averages, 0), offline({.scheme = "swa", .stride = {2}, .first = 3, .last = 17},
                                                            {4, 6, 8, 10, 12, 14, 16, 18, 20})));
}

TEST_F(Online, TheStateGoesOnBitForBit) {
  const std::vector<OnlineAverageConfig> configs{{.window = 3, .stride = 2},
                                                 {.window = 4, .stride = 1},
                                                 {.scheme = "ema", .beta = 0.9, .warmup = true},
                                                 {.scheme = "ema", .half_life = 0.1, .blend = {0.5}, .exclude = {"wte"}},
                                                 {.scheme = "swa", .stride = 2}};
  OnlineAverages whole(configs, layout_), first(configs, layout_);
  observe(whole, 1, 20);
  for (const int64_t cut : {1, 3, 9}) {
    OnlineAverages part(configs, layout_);
    observe(part, 1, cut);
    OnlineAverages second = restored(part, configs);
    observe(second, cut + 1, 20);
    for (size_t i = 0; i < configs.size(); ++i) {
      EXPECT_EQ(second.step(i), whole.step(i));
      EXPECT_TRUE(test::same_bits(average(second, i), average(whole, i))) << whole.name(i) << " after a cut at " << cut;
    }
    EXPECT_EQ(second.description(), whole.description());
  }
}

TEST_F(Online, AveragesComeAndGoAtAResume) {
  const OnlineAverageConfig lawa{.window = 2, .stride = 2}, ema{.scheme = "ema", .beta = 0.9}, swa{.scheme = "swa"};
  OnlineAverages first({lawa, ema}, layout_);
  observe(first, 1, 9);
  OnlineAverages second = restored(first, {swa, lawa});
  observe(second, 10, 12);
  EXPECT_TRUE(test::same_bits(average(second, 1), offline({.window = {2}, .stride = {2}}, {10, 12}))) << "kept";
  EXPECT_TRUE(test::same_bits(average(second, 0), offline({.scheme = "swa"}, {10, 11, 12}))) << "new: from here on";
  EXPECT_THAT(second.description().dump(), testing::Not(HasSubstr("ema")));
}

TEST_F(Online, AStateThatNoRunHasIsRefused) {
  OnlineAverages averages({{.window = 3, .stride = 2}}, layout_);
  const auto error = [&](const std::string& state) {
    return test::error_of([&] { averages.restore(Json::parse(state), [](const std::vector<ShardArray>&) {}); });
  };
  EXPECT_EQ(error(R"x({"lawa(k=3,nu=2)": {"snapshots": 4, "oldest": 2, "newest": 8, "members": [4, 6, 8]}})x"), "no error");
  for (const std::string wrong : {R"("snapshots": 3, "oldest": 2, "newest": 6, "members": [])", R"("snapshots": 3, "oldest": 2, "newest": 6, "members": [2, 6, 4])",
                                  R"("snapshots": 9, "oldest": 2, "newest": 6, "members": [2, 4, 6])", R"("snapshots": -1, "oldest": 0, "newest": 0, "members": [])",
                                  R"("snapshots": 4, "oldest": 2, "newest": 8, "members": [2, 4, 6])"})
    EXPECT_THAT(error("{\"lawa(k=3,nu=2)\": {" + wrong + "}}"), HasSubstr("as no run of lawa(k=3,nu=2) does")) << wrong;
  EXPECT_THAT(error(R"x({"lawa(k=3,nu=2)": {"snapshots": []}})x"), HasSubstr("can't be read"));
  EXPECT_THAT(error("[1]"), HasSubstr("isn't a list of averages"));
}

TEST_F(Online, SnapshotsAreSharedAndLetGo) {
  OnlineAverages averages({{.window = 3, .stride = 2}, {.window = 2, .stride = 4}}, layout_);
  observe(averages, 1, 20);
  std::vector<std::string> names;
  for (const ShardArray& array : averages.arrays()) names.push_back(array.name);
  EXPECT_THAT(names, ElementsAre("averages/snapshots/step_00000016", "averages/snapshots/step_00000018", "averages/snapshots/step_00000020"));
  EXPECT_EQ(averages.most_bytes(), layout_.local_size() * 4 * (4 + 3)) << "one more than the window while a snapshot is taken";
}

TEST_F(Online, EntriesThatDifferInTheirEvaluationShareOneSum) {
  const std::vector<OnlineAverageConfig> configs{{.scheme = "ema", .beta = 0.9},
                                                 {.scheme = "ema", .beta = 0.9, .save = true, .blend = {0.3, 0.6}, .evaluate_steps = 3},
                                                 {.scheme = "ema", .beta = 0.9, .exclude = {"wte"}, .evaluate_at = {4}},
                                                 {.scheme = "ema", .beta = 0.9, .warmup = true},
                                                 {.scheme = "swa", .blend = {0.5}},
                                                 {.scheme = "swa"}};
  OnlineAverages averages(configs, layout_);
  observe(averages, 1, 5);
  std::vector<std::string> names;
  for (const ShardArray& array : averages.arrays()) names.push_back(array.name);
  EXPECT_THAT(names, ElementsAre("averages/ema(beta=0.9,nu=1)/sum", "averages/ema(beta=0.9,nu=1,warmup)/sum", "averages/swa(nu=1)/sum"));
  EXPECT_EQ(averages.most_bytes(), layout_.local_size() * 8 * 3);
  std::vector<size_t> which;
  for (const OnlineAverageConfig& config : configs) which.push_back(averages.find(config));
  EXPECT_THAT(which, ElementsAre(0, 0, 0, 1, 2, 2));
  EXPECT_EQ(averages.snapshots(0), 5);
}

TEST_F(Online, ABlendLiesBetweenTheWeightsAndTheirAverage) {
  const auto on_device = [&](const Floats& values) {
    const Vector<float> local = zeros<float>("test::weights", layout_.local_size());
    std::ranges::copy(values, on_host(local).data());
    return local;
  };
  const Floats theta = weights_at(1), mean = weights_at(2);
  for (const double lambda : {0.0, 0.3, 1.7}) {
    const Vector<float> blended = on_device(mean);
    blend(exec_, lambda, on_device(theta), blended);
    Floats expected;
    for (size_t i = 0; i < theta.size(); ++i) {
      const volatile double distance = static_cast<double>(mean[i]) - static_cast<double>(theta[i]), part = lambda * distance;
      expected.push_back(static_cast<float>(static_cast<double>(theta[i]) + part));
    }
    EXPECT_TRUE(test::same_bits(floats(blended), expected)) << lambda;
    if (lambda == 0) {
      EXPECT_EQ(floats(blended), theta);
    }
  }
}

struct Entries {
  std::vector<OnlineAverageConfig> averages;
};
template <class Visitor>
void visit(Entries& c, Visitor&& v) {
  v("averages", c.averages, "");
}

/// What is wrong with the entries of a text, for a model of four tensors.
std::string refusal(const std::string& text) {
  ParameterTable table;
  for (const char* tensor : {"wte.weight", "wpe.weight", "h.0.ln_1.weight", "h.10.ln_1.weight"})
    table.add({.name = tensor, .shape = {2}});
  ConfigSource source;
  source.add_toml(text, "run.toml");
  return test::error_of([&] { check(load_config<Entries>(source).averages, table, source); });
}

TEST(OnlineConfig, NoAverageIsThereTwice) {
  EXPECT_EQ(refusal("[[averages]]\nscheme = 'swa'\n[[averages]]\nscheme = 'swa'"),
            "averages.1 (run.toml:4): swa(nu=1) is there twice");
  EXPECT_EQ(refusal("[[averages]]\nscheme = 'swa'\n[[averages]]\nscheme = 'swa'\nblend = [0.5, 1]"),
            "averages.1 (run.toml:4): swa(nu=1) is there twice");
  EXPECT_EQ(refusal("[[averages]]\nscheme = 'swa'\nsave = true\n[[averages]]\nscheme = 'swa'\nblend = [0.5]\nsave = true"),
            "averages.1.save (run.toml:7): swa(nu=1) is saved twice");
  EXPECT_EQ(refusal("[[averages]]\nscheme = 'swa'\n[[averages]]\nscheme = 'swa'\nblend = [0, 0.5]\n[[averages]]\nscheme = 'swa'\n"
                    "exclude = ['wte']"), "no error");
}

TEST(OnlineConfig, KeysThatDoNotFitTogetherAreNamed) {
  const std::string ema = "[[averages]]\nscheme = 'ema'\n";
  EXPECT_EQ(refusal(ema + "beta = 0.9\nhalf_life = 0.1"),
            "averages.0.beta (run.toml:3) and averages.0.half_life (run.toml:4): only one of beta, half_life_steps and half_life");
  EXPECT_EQ(refusal(ema + "half_life = 0.1\nhalf_life_steps = 5"),
            "averages.0.half_life_steps (run.toml:4) and averages.0.half_life (run.toml:3): only one of beta, half_life_steps and half_life");
  EXPECT_EQ(refusal("[[averages]]\nhalf_life = 0.1"), "averages.0.half_life (run.toml:2): means nothing to lawa");
  EXPECT_EQ(refusal(ema + "exclude = ['wte', 'h.1']"), "averages.0.exclude (run.toml:3): no tensor is h.1 or begins with h.1.");
  EXPECT_EQ(refusal(ema + "exclude = ['wte', 'h.10', 'wpe.weight']"), "no error");
  EXPECT_EQ(refusal(ema + "exclude = ['wte']\nsave = true"),
            "averages.0.save (run.toml:4): its files would hold all tensors averaged, and averages.0.exclude (run.toml:3) leaves some out");
  EXPECT_EQ(refusal(ema + "blend = [0.5, 2.5]"), "averages.0.blend (run.toml:3): 2.5 must be at most 2");
}

}  // namespace
}  // namespace lawa
