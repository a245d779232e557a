// Causal attention, in tiles of queries.
#include "ops/attend.hpp"

#include "reference/attention.hpp"
#include "reference/central_differences.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"

namespace lawa {
namespace {

using namespace test;

/// B sequences, H heads of D channels, T positions, and the queries of a tile.
struct Shape {
  int64_t B, H, D, T, tile;
};
constexpr Shape shapes[] = {
    {1, 1, 1, 1, 1},                     // nothing to attend to but itself
    {2, 3, 5, 7, 7},                     // one tile
    {2, 3, 5, 7, 4},                     // a remainder
    {1, 2, 8, 12, 4},                    // no remainder
    {1, 1, 3, 6, 1},                     // tiles of one query
    {2, 1, 65, 9, 2},                    // a wide head
    {1, 2, 4, attention_tile + 44, attention_tile},
};

/// The tensors of an attention: all outputs and rooms are NaN, so that what isn't overwritten shows.
struct Case {
  explicit Case(const Shape& s, double deviation = 1)
      : attention{s.H, s.T, 0.7f / std::sqrt(static_cast<float>(s.D)), filled(s.tile, s.T, not_a_number),
                  filled(s.tile, s.T, not_a_number)},
        qkv(matrix(s.B * s.T, 3 * s.H * s.D, normals(s.B * s.T * 3 * s.H * s.D, 1, deviation))),
        log_sum(filled(s.B * s.H, s.T, not_a_number)),
        y(filled(s.B * s.T, s.H * s.D, not_a_number)),
        dy(random_matrix(s.B * s.T, s.H * s.D, 2)),
        dqkv(filled(s.B * s.T, 3 * s.H * s.D, not_a_number)) {}

  reference::AttentionShape reference_shape() const {
    return {attention.heads, attention.sequence_length, static_cast<double>(attention.scale)};
  }
  void forward() const { attend(Exec(), attention, qkv, log_sum, y); }
  void backward() const { attend_backward(Exec(), attention, qkv, log_sum, y, dy, dqkv); }

  Attention attention;
  Matrix<float> qkv, log_sum, y, dy, dqkv;
};
std::string words(const Shape& s) { return concat("B ", s.B, ", H ", s.H, ", D ", s.D, ", T ", s.T, ", tiles of ", s.tile); }

TEST(Attend, ForwardAgreesWithReference) {
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const Case c(s);
    c.forward();
    const reference::AttentionOutput expected = attention(c.reference_shape(), in_doubles(c.qkv));
    EXPECT_TRUE(near(values(c.y), expected.y.values, tolerance::attend.forward));
    EXPECT_TRUE(near(values(c.log_sum), expected.log_sum.values, tolerance::attend.forward));
  }
}

TEST(Attend, BackwardAgreesWithReferenceAndOverwrites) {
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const Case c(s);
    c.forward();
    c.backward();
    const reference::Array expected = attention_backward(c.reference_shape(), in_doubles(c.qkv), in_doubles(c.dy));
    EXPECT_TRUE(near(values(c.dqkv), expected.values, tolerance::attend.backward));
  }
}

TEST(Attend, BackwardAgreesWithCentralDifferences) {
  const Case c({2, 3, 2, 5, 2});
  c.forward();
  c.backward();
  const reference::Array qkv = in_doubles(c.qkv), cotangent = in_doubles(c.dy);
  const auto objective = [&](const reference::Values& v) {
    return reference::dot(cotangent.values, attention(c.reference_shape(), {qkv.rows, qkv.columns, v}).y.values);
  };
  EXPECT_TRUE(near(values(c.dqkv), reference::central_differences(objective, qkv.values), tolerance::attend.backward));
}

TEST(Attend, NoPositionSeesTheFuture) {
  const Shape s{1, 2, 4, 11, 4};
  const Case c(s), changed(s);
  const int64_t from = 6;  // inside the second tile
  const Matrix<float> future = slice(changed.qkv, {from, s.T});
  set(Vector<float>(future.data(), future.size()), normals(rows(future) * columns(future), 9));
  c.forward();
  changed.forward();
  EXPECT_TRUE(same_bits(values(slice(c.y, {0, from})), values(slice(changed.y, {0, from}))));
  EXPECT_GT(relative_error(values(slice(c.y, {from, s.T})), values(slice(changed.y, {from, s.T}))), 0.1);
}

TEST(Attend, SequencesDoNotSeeEachOther) {
  const Shape pair{2, 3, 5, 7, 4}, single{1, 3, 5, 7, 4};
  const Case both(pair), second(single);
  set(Vector<float>(second.qkv.data(), second.qkv.size()), values(slice(both.qkv, {pair.T, 2 * pair.T})));
  both.forward();
  second.forward();
  EXPECT_TRUE(near(values(slice(both.y, {pair.T, 2 * pair.T})), values(second.y), tolerance::attend.forward));
}

TEST(Attend, TheTileDoesNotMatter) {
  const Case whole({2, 3, 5, 29, 29}), tiled({2, 3, 5, 29, 8});
  for (const Case& c : {whole, tiled}) {
    c.forward();
    c.backward();
  }
  EXPECT_TRUE(near(values(tiled.y), values(whole.y), tolerance::attend.forward));
  EXPECT_TRUE(near(values(tiled.dqkv), values(whole.dqkv), tolerance::attend.backward));
}

TEST(Attend, LargeScoresNeitherOverflowNorVanish) {  // scores of about 1000: their exponentials don't exist in float32
  const Case c({1, 2, 16, 20, 8}, 20);
  c.forward();
  c.backward();
  const reference::AttentionOutput expected = attention(c.reference_shape(), in_doubles(c.qkv));
  const reference::Array gradient = attention_backward(c.reference_shape(), in_doubles(c.qkv), in_doubles(c.dy));
  // A score of 1000 is rounded to 6e-5, and its exponential by as much.
  EXPECT_TRUE(near(values(c.y), expected.y.values, 2e-4));
  EXPECT_TRUE(near(values(c.log_sum), expected.log_sum.values, tolerance::attend.forward));
  EXPECT_TRUE(near(values(c.dqkv), gradient.values, 1e-3));
}

}  // namespace
}  // namespace lawa
