// AdamW on shards, against the update of one weight in doubles.
#include "optim/adamw.hpp"

#include <gtest/gtest.h>

#include <array>

#include "reference/adamw.hpp"
#include "reference/central_differences.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/refuses.hpp"

namespace lawa {
namespace {

using namespace test;

/// Decay changes inside shards, inside work items, and between elements 1 and 2.
ParameterTable mixed_table() {
  ParameterTable table;
  const std::pair<int64_t, bool> tensors[] = {{1, true},   {1, false},   {7000, true}, {13, false},
                                              {30, false}, {9001, true}, {5000, false}};
  for (const auto& [size, decay] : tensors) table.add({.name = "tensor", .shape = {size}, .decay = decay});
  return table;
}

constexpr OptimizerConfig rules{.beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-3, .weight_decay = 0.3};
constexpr double rates[] = {0, 0.02, 0.03, 0.01, 0.005};  // of steps 1, 2, …; the first as in a warm-up
constexpr double gradient_scale = 0.37;

/// The gradient of a step, for all P elements.
std::vector<float> full_gradient(int64_t size, int64_t step) { return normals(size, 100 + static_cast<uint64_t>(step)); }

/// A rank's part of full values; what belongs to nobody is `padding`.
std::vector<float> local_part(const ShardLayout& layout, const std::vector<float>& full, float padding) {
  std::vector<float> local(static_cast<size_t>(layout.local_size()), padding);
  for (const auto& [range, begin] : layout.mine())
    std::copy_n(full.begin() + range.begin, range.size(), local.begin() + begin);
  return local;
}

/// Some steps from random weights on one rank; the gradient is NaN where it belongs to nobody.
AdamW updated(const ShardLayout& layout) {
  const ParameterTable table = mixed_table();
  AdamW adamw(rules, table, layout, zeros<float>("test::master", layout.local_size()));
  set(adamw.master(), local_part(layout, normals(table.size(), 1), -7));
  int64_t step = 0;
  for (const double lr : rates) {
    ++step;
    const Vector<float> gradient = vector(local_part(layout, full_gradient(table.size(), step), not_a_number));
    adamw.update(Exec(), gradient, lr, gradient_scale, step);
  }
  return adamw;
}

/// The first n elements: without the padding.
std::vector<float> real(const Vector<float>& x, int64_t n) { return values(slice(x, {0, n})); }

TEST(AdamW, AgreesWithReferenceOverSeveralSteps) {
  const ParameterTable table = mixed_table();
  const int64_t P = table.size();
  const AdamW adamw = updated(ShardLayout(P, 0, 1));
  const std::vector<float> initial = normals(P, 1);
  std::vector<reference::AdamWState> states;
  for (const float weight : initial) states.push_back({.weight = static_cast<double>(weight)});
  int64_t step = 0;
  for (const double lr : rates) {
    const std::vector<float> gradient = full_gradient(P, ++step);
    for (int64_t i = 0; i < P; ++i)
      reference::adamw({rules.beta1, rules.beta2, rules.epsilon, table.at(i).decay ? rules.weight_decay : 0},
                       states[static_cast<size_t>(i)], gradient_scale * static_cast<double>(gradient[static_cast<size_t>(i)]), lr,
                       static_cast<double>(step));
  }
  std::vector<double> weight, m, v;
  for (const reference::AdamWState& s : states) {
    weight.push_back(s.weight);
    m.push_back(s.m);
    v.push_back(s.v);
  }
  EXPECT_TRUE(near(real(adamw.master(), P), weight, tolerance::adamw));
  EXPECT_TRUE(near(real(adamw.m(), P), m, tolerance::adamw));
  EXPECT_TRUE(near(real(adamw.v(), P), v, tolerance::adamw));
}

TEST(AdamW, EveryRanksUpdateIsItsPartOfOneRanks) {
  const int64_t P = mixed_table().size();
  const AdamW whole = updated(ShardLayout(P, 0, 1));
  const std::array all{real(whole.master(), P), real(whole.m(), P), real(whole.v(), P)};
  for (const int ranks : {2, 3, 7})  // of 7, some own nothing
    for (const std::vector<int64_t>& ends : {std::vector<int64_t>{}, {4000, 9000, 17000}})
      for (int rank = 0; rank < ranks; ++rank) {
        SCOPED_TRACE(concat("rank ", rank, " of ", ranks, ", ", ends.size(), " bucket ends"));
        const ShardLayout layout(P, rank, ranks, ends);
        const AdamW mine = updated(layout);
        EXPECT_TRUE(same_bits(values(mine.master()), local_part(layout, all[0], -7)));  // past mine_size(), as they were
        EXPECT_TRUE(same_bits(values(mine.m()), local_part(layout, all[1], 0)));
        EXPECT_TRUE(same_bits(values(mine.v()), local_part(layout, all[2], 0)));
      }
}

TEST(AdamW, ARateOfZeroOnlyMovesTheMoments) {  // the first step of a warm-up
  const ParameterTable table = mixed_table();
  const ShardLayout layout(table.size(), 0, 1);
  AdamW adamw(rules, table, layout, zeros<float>("test::master", layout.local_size()));
  const std::vector<float> before = normals(layout.local_size(), 1);
  set(adamw.master(), before);
  adamw.update(Exec(), random_vector(layout.local_size(), 2), 0, 1, 1);
  EXPECT_TRUE(same_bits(values(adamw.master()), before));
  EXPECT_NE(values(adamw.m())[0], 0);
  EXPECT_GT(values(adamw.v())[0], 0);
}

TEST(AdamW, TheFirstStepMovesEveryWeightByTheRate) {  // m and v begin without a bias: m/sqrt(v) is the gradient's sign
  ParameterTable table;
  table.add({.name = "tensor", .shape = {6}});
  const ShardLayout layout(6, 0, 1);
  AdamW adamw({.epsilon = 1e-12}, table, layout, zeros<float>("test::master", layout.local_size()));
  const std::vector<float> signs{1, -1, 1, 1, -1, -1};
  std::vector<float> gradient{3e-5f, -2, 70, 0.1f, -9, -1e-4f};
  gradient.resize(static_cast<size_t>(layout.local_size()));
  adamw.update(Exec(), vector(gradient), 0.5, 1, 1);
  for (size_t i = 0; i < signs.size(); ++i) EXPECT_NEAR(values(adamw.master())[i], -0.5f * signs[i], 1e-6) << i;
}

TEST(OptimizerConfig, NamesTheKeyOfAWrongValue) {
  for (const std::string word : {"beta1=1", "beta2=-0.1", "epsilon=-1", "weight_decay=-1", "clip_norm=-1", "decay_embeddings=2"})
    EXPECT_TRUE(refuses<OptimizerConfig>(word));
}

TEST(ClipFactor, ScalesDownToTheLimitAndNeverUp) {
  EXPECT_NEAR(clip_factor(4, 1), 0.25, 1e-6);
  EXPECT_DOUBLE_EQ(clip_factor(4, 1), 1 / (4 + 1e-6));  // PyTorch's
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_EQ(clip_factor(0, 1), 1);
  EXPECT_LT(clip_factor(1, 1), 1);  // at the limit, by PyTorch's 1e-6
}

TEST(ClipFactor, ALimitOfZeroNeverClips) {
  EXPECT_EQ(clip_factor(1e30, 0), 1);
  EXPECT_EQ(clip_factor(0, 0), 1);
}

TEST(SquaredNorm, IsTheSumOfSquaresInDoublePrecision) {
  for (const int64_t n : {0, 1, 63, 4095, 4096, 4097, 20000}) {
    const Vector<float> x = random_vector(n, 1);
    const reference::Values exact = in_doubles(x);
    EXPECT_NEAR(squared_norm(Exec(), x), reference::dot(exact, exact), 1e-13 * static_cast<double>(n)) << n;
  }
}

TEST(SquaredNorm, DoesNotOverflow) {
  EXPECT_NEAR(squared_norm(Exec(), vector<float>({1e30f, -1e30f, 1})) / 2e60, 1, 1e-6);
}

}  // namespace
}  // namespace lawa
