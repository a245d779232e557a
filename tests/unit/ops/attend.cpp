// Causal attention: in tiles of queries, and by the device's own kernel in a build that has one.
#include "ops/attend.hpp"

#include "reference/attention.hpp"
#include "reference/central_differences.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"
#include "support/with_products.hpp"

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
    // In bf16, what the device's own kernel takes, where there is one; tiles elsewhere.
    {2, 3, 8, 64, 64},
    {3, 2, 16, 100, 100},                // no multiple of 64
    {1, 2, 16, 100, 100},                // another number of sequences
    {2, 2, 64, attention_tile + 44, attention_tile},
    {1, 1, 128, 128, 128},
};
constexpr Shape in_tiles{2, 3, 5, 7, 4}, fused{2, 3, 16, 100, 100};

/// What rounding to S adds to the tolerances, beyond the one rounding of the results that near_once_rounded() allows them. Forward: that
/// of the probabilities, which changes y by at most that part of the largest v. Backward: those of y, P and dS, which enter sums of many
/// terms with either sign, so that the three stay within the largest change that one could make.
template <class S>
inline constexpr Tolerance within{tolerance::attend.forward + rounding<S>, tolerance::attend.backward + rounding<S>};

/// The tensors of an attention: all outputs and rooms are NaN, so that what isn't overwritten shows.
template <class S>
struct Case {
  explicit Case(const Shape& s, double deviation = 1, bool backward = true)
      : room_memory(vector(std::vector<unsigned char>(static_cast<size_t>(bytes(s, backward)), 0xff))),  // a NaN of either type
        attention{s.H, s.T, 0.7f / std::sqrt(static_cast<float>(s.D)), room(s, backward)},
        qkv(matrix(s.B * s.T, 3 * s.H * s.D, kept_as<S>(normals(s.B * s.T * 3 * s.H * s.D, 1, deviation)))),
        log_sum(filled(s.B * s.H, s.T, not_a_number)),
        y(filled<S>(s.B * s.T, s.H * s.D, not_a_number)),
        dy(random_matrix<S>(s.B * s.T, s.H * s.D, 2)),
        dqkv(filled<S>(s.B * s.T, 3 * s.H * s.D, not_a_number)) {}

  static int64_t bytes(const Shape& s, bool backward) {
    Cursor at;
    AttentionRoom<S>::map(at, s.T, s.D, backward);
    return at.used();
  }
  /// The mapped room, of which tiles of s.tile queries use the first rows. It is empty where there are no tiles.
  AttentionRoom<S> room(const Shape& s, bool backward) const {
    Cursor at(room_memory.data());
    AttentionRoom<S> room = AttentionRoom<S>::map(at, s.T, s.D, backward);
    if (rows(room.scores) == 0) return room;
    const Range tile{0, s.tile}, tile_of_backward{0, backward ? s.tile : 0};
    room.scores = slice(room.scores, tile);
    room.p = slice(room.p, tile);
    room.score_gradients = slice(room.score_gradients, tile_of_backward);
    room.ds = slice(room.ds, tile_of_backward);
    return room;
  }
  reference::AttentionShape reference_shape() const {
    return {attention.heads, attention.sequence_length, static_cast<double>(attention.scale)};
  }
  void forward() const { attend(Exec(), attention, qkv, log_sum, y); }
  void backward() const { attend_backward(Exec(), attention, qkv, log_sum, y, dy, dqkv); }

  Vector<unsigned char> room_memory;
  Attention<S> attention;
  Matrix<S> qkv;
  Matrix<float> log_sum;
  Matrix<S> y, dy, dqkv;
};
std::string words(const Shape& s) { return concat("B ", s.B, ", H ", s.H, ", D ", s.D, ", T ", s.T, ", tiles of ", s.tile); }

template <class S>
class Attend : public WithProducts<S> {};
TYPED_TEST_SUITE(Attend, NumberTypes, NumberName);

TYPED_TEST(Attend, ForwardAgreesWithReferenceInTheRoomOfAForward) {
  using S = TypeParam;
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const Case<S> c(s, 1, false);
    c.forward();
    const reference::AttentionOutput expected = attention(c.reference_shape(), in_doubles(c.qkv));
    EXPECT_TRUE(near_once_rounded<S>(values(c.y), expected.y.values, within<S>.forward));
    EXPECT_TRUE(near(values(c.log_sum), expected.log_sum.values, tolerance::attend.forward));  // kept in float
  }
}

TYPED_TEST(Attend, BackwardAgreesWithReferenceAndOverwrites) {
  using S = TypeParam;
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const Case<S> c(s);
    c.forward();
    c.backward();
    const reference::Array expected = attention_backward(c.reference_shape(), in_doubles(c.qkv), in_doubles(c.dy));
    EXPECT_TRUE(near_once_rounded<S>(values(c.dqkv), expected.values, within<S>.backward));
  }
}

TYPED_TEST(Attend, BackwardAgreesWithCentralDifferences) {
  using S = TypeParam;
  const Case<S> c({2, 3, 2, 5, 2});
  c.forward();
  c.backward();
  const reference::Array qkv = in_doubles(c.qkv), cotangent = in_doubles(c.dy);
  const auto objective = [&](const reference::Values& v) {
    return reference::dot(cotangent.values, attention(c.reference_shape(), {qkv.rows, qkv.columns, v}).y.values);
  };
  EXPECT_TRUE(near_once_rounded<S>(values(c.dqkv), reference::central_differences(objective, qkv.values), within<S>.backward));
}

TYPED_TEST(Attend, NoPositionSeesTheFuture) {
  using S = TypeParam;
  for (const Shape& s : {Shape{1, 2, 4, 11, 4}, Shape{1, 2, 16, 100, 100}}) {
    SCOPED_TRACE(words(s));
    const Case<S> c(s), changed(s);
    const int64_t from = s.T / 2 + 1;  // inside a tile
    const Matrix<S> future = slice(changed.qkv, {from, s.T});
    set(Vector<S>(future.data(), future.size()), kept_as<S>(normals(rows(future) * columns(future), 9)));
    c.forward();
    changed.forward();
    EXPECT_TRUE(same_bits(values(slice(c.y, {0, from})), values(slice(changed.y, {0, from}))));
    EXPECT_GT(relative_error(values(slice(c.y, {from, s.T})), values(slice(changed.y, {from, s.T}))), 0.1);
  }
}

TYPED_TEST(Attend, SequencesDoNotSeeEachOther) {
  using S = TypeParam;
  for (const Shape& pair : {in_tiles, fused}) {
    SCOPED_TRACE(words(pair));
    const Case<S> both(pair), second({1, pair.H, pair.D, pair.T, pair.tile});
    set(Vector<S>(second.qkv.data(), second.qkv.size()), values(slice(both.qkv, {pair.T, 2 * pair.T})));
    both.forward();
    second.forward();
    EXPECT_TRUE(near_once_rounded<S>(values(slice(both.y, {pair.T, 2 * pair.T})), in_doubles(second.y).values, within<S>.forward));
  }
}

TYPED_TEST(Attend, EachCallHasItsOwnScale) {  // as the layers of a model have
  using S = TypeParam;
  for (const Shape& s : {in_tiles, fused}) {
    SCOPED_TRACE(words(s));
    Case<S> c(s);
    for (const float scale : {0.5f, 0.1f}) {
      c.attention.scale = scale;
      c.forward();
      c.backward();
      EXPECT_TRUE(near_once_rounded<S>(values(c.y), attention(c.reference_shape(), in_doubles(c.qkv)).y.values, within<S>.forward));
      const reference::Array expected = attention_backward(c.reference_shape(), in_doubles(c.qkv), in_doubles(c.dy));
      EXPECT_TRUE(near_once_rounded<S>(values(c.dqkv), expected.values, within<S>.backward));
    }
  }
}

TYPED_TEST(Attend, RepeatsBitForBit) {
  using S = TypeParam;
  for (const Shape& s : {Shape{2, 2, 5, 29, 8}, Shape{2, 4, 64, attention_tile + 44, attention_tile}}) {
    SCOPED_TRACE(words(s));
    const Case<S> first(s), second(s);
    for (const Case<S>& c : {first, second}) {
      c.forward();
      c.backward();
    }
    EXPECT_TRUE(same_bits(values(first.y), values(second.y)));
    EXPECT_TRUE(same_bits(values(first.log_sum), values(second.log_sum)));
    EXPECT_TRUE(same_bits(values(first.dqkv), values(second.dqkv)));
  }
}

TYPED_TEST(Attend, TheTileDoesNotMatter) {
  using S = TypeParam;
  const Case<S> whole({2, 3, 5, 29, 29}), tiled({2, 3, 5, 29, 8});
  for (const Case<S>& c : {whole, tiled}) {
    c.forward();
    c.backward();
  }
  EXPECT_TRUE(near_once_rounded<S>(values(tiled.y), in_doubles(whole.y).values, within<S>.forward));
  EXPECT_TRUE(near_once_rounded<S>(values(tiled.dqkv), in_doubles(whole.dqkv).values, within<S>.backward));
}

TYPED_TEST(Attend, TheOrderOfTheColumnsDoesNotMatter) {  // head by head, as GPT-NeoX has them: the same bits
  using S = TypeParam;
  for (const Shape& s : {in_tiles, fused}) {
    SCOPED_TRACE(words(s));
    const Case<S> apart(s);
    Case<S> together(s);
    together.attention.order = QkvOrder::heads;
    const auto by_head = [&](const Matrix<S>& x) {
      const std::vector<S> from = values(x);
      std::vector<S> to;
      for (int64_t n = 0; n < rows(x); ++n)
        for (int64_t h = 0; h < s.H; ++h)
          for (int64_t part = 0; part < 3; ++part)
            for (int64_t c = 0; c < s.D; ++c) to.push_back(from[static_cast<size_t>(n * columns(x) + (part * s.H + h) * s.D + c)]);
      return to;
    };
    set(Vector<S>(together.qkv.data(), together.qkv.size()), by_head(apart.qkv));
    for (const Case<S>* c : {&apart, static_cast<const Case<S>*>(&together)}) {
      c->forward();
      c->backward();
    }
    EXPECT_TRUE(same_bits(values(together.y), values(apart.y)));
    EXPECT_TRUE(same_bits(values(together.dqkv), by_head(apart.dqkv)));
  }
}

TYPED_TEST(Attend, LargeScoresNeitherOverflowNorVanish) {  // scores of about 1000: their exponentials don't exist in float32
  using S = TypeParam;
  const Case<S> c({1, 2, 16, 20, 8}, 20);
  c.forward();
  c.backward();
  const reference::AttentionOutput expected = attention(c.reference_shape(), in_doubles(c.qkv));
  const reference::Array gradient = attention_backward(c.reference_shape(), in_doubles(c.qkv), in_doubles(c.dy));
  // A score of 1000 is rounded to 6e-5, and its exponential by as much.
  EXPECT_TRUE(near_once_rounded<S>(values(c.y), expected.y.values, 2e-4 + rounding<S>));
  EXPECT_TRUE(near(values(c.log_sum), expected.log_sum.values, tolerance::attend.forward));
  EXPECT_TRUE(near_once_rounded<S>(values(c.dqkv), gradient.values, 1e-3 + rounding<S>));
}

}  // namespace
}  // namespace lawa
