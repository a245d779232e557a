// x[n] = wte[ids[n]] + wpe[n mod T]
#include "ops/ops.hpp"

#include "reference/central_differences.hpp"
#include "reference/embed.hpp"
#include "support/in_doubles.hpp"
#include "support/near.hpp"
#include "support/number_types.hpp"

namespace lawa {
namespace {

using namespace test;

struct Shape {
  int64_t sequences, length, vocabulary, channels;
  int64_t rows() const { return sequences * length; }
};
constexpr Shape shapes[] = {{1, 1, 1, 1}, {3, 5, 4, 7}, {2, 3, 50, 64}, {4, 9, 11, 65}, {2, 33, 20, 130}};
constexpr int64_t unused_positions = 2;  // a context longer than the sequences

std::string words(const Shape& s) {
  return concat("B ", s.sequences, ", T ", s.length, ", V ", s.vocabulary, ", C ", s.channels);
}

template <class S>
struct EmbedTest : testing::Test {};
TYPED_TEST_SUITE(EmbedTest, NumberTypes, NumberName);

TYPED_TEST(EmbedTest, ForwardAgreesWithReference) {  // the sum is a float whatever the weights are: no rounding to bf16
  using S = TypeParam;
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const std::vector<int32_t> ids = token_ids(s.rows(), s.vocabulary, 1);
    const Matrix<S> wte = random_matrix<S>(s.vocabulary, s.channels, 2);
    const Matrix<S> wpe = random_matrix<S>(s.length + unused_positions, s.channels, 3);
    const Matrix<float> x = filled(s.rows(), s.channels, not_a_number);
    embed(Exec(), vector(ids), s.length, wte, wpe, x);
    const reference::Array expected = reference::embed(ids, s.length, in_doubles(wte), in_doubles(wpe));
    EXPECT_TRUE(near(values(x), expected.values, tolerance::embed.forward));
  }
}

TEST(Embed, BackwardAddsIntoTheRowsThatWereReadAndNoOthers) {
  for (const Shape& s : shapes) {
    SCOPED_TRACE(words(s));
    const std::vector<int32_t> ids = token_ids(s.rows(), s.vocabulary, 1);
    const Matrix<float> dx = random_matrix(s.rows(), s.channels, 2), dwte = random_matrix(s.vocabulary, s.channels, 3);
    const Matrix<float> dwpe = random_matrix(s.length + unused_positions, s.channels, 4);
    reference::Array expected_dwte = in_doubles(dwte), expected_dwpe = in_doubles(dwpe);
    const std::vector<float> old_dwpe = values(slice(dwpe, {s.length, rows(dwpe)}));
    embed_backward(Exec(), on_host(vector(ids)), s.length, dx, dwte, dwpe);
    reference::embed_backward(ids, s.length, in_doubles(dx), expected_dwte, expected_dwpe);
    EXPECT_TRUE(near(values(dwte), expected_dwte.values, tolerance::embed.backward));
    EXPECT_TRUE(near(values(dwpe), expected_dwpe.values, tolerance::embed.backward));
    EXPECT_TRUE(same_bits(values(slice(dwpe, {s.length, rows(dwpe)})), old_dwpe));
  }
}

TYPED_TEST(EmbedTest, WithoutPositionsRowsAreThoseOfTheirTokens) {
  using S = TypeParam;
  const Shape s{2, 3, 50, 65};
  const std::vector<int32_t> ids = token_ids(s.rows(), s.vocabulary, 1);
  const Matrix<S> wte = random_matrix<S>(s.vocabulary, s.channels, 2);
  const Matrix<float> x = filled(s.rows(), s.channels, not_a_number), dwte = filled(s.vocabulary, s.channels, 0);
  embed(Exec(), vector(ids), s.length, wte, Matrix<S>(), x);
  reference::Array positions(s.length, s.channels), expected(s.vocabulary, s.channels);
  EXPECT_TRUE(near(values(x), reference::embed(ids, s.length, in_doubles(wte), positions).values, 0));
  embed_backward(Exec(), on_host(vector(ids)), s.length, x, dwte, Matrix<float>());
  reference::embed_backward(ids, s.length, in_doubles(x), expected, positions);
  EXPECT_TRUE(near(values(dwte), expected.values, tolerance::embed.backward));
}

TEST(Embed, BackwardAgreesWithCentralDifferences) {
  const Shape s{3, 5, 4, 7};
  const std::vector<int32_t> ids = token_ids(s.rows(), s.vocabulary, 1);
  const Matrix<float> dx = random_matrix(s.rows(), s.channels, 2);
  const Matrix<float> dwte = filled(s.vocabulary, s.channels, 0), dwpe = filled(s.length, s.channels, 0);
  embed_backward(Exec(), on_host(vector(ids)), s.length, dx, dwte, dwpe);
  const auto objective = [&](const reference::Values& wte, const reference::Values& wpe) {
    const reference::Array tokens(s.vocabulary, s.channels, wte), positions(s.length, s.channels, wpe);
    return reference::dot(in_doubles(dx).values, reference::embed(ids, s.length, tokens, positions).values);
  };
  const reference::Values wte = in_doubles(random_vector(s.vocabulary * s.channels, 3));
  const reference::Values wpe = in_doubles(random_vector(s.length * s.channels, 4));
  const auto of_wte = [&](const reference::Values& v) { return objective(v, wpe); };
  const auto of_wpe = [&](const reference::Values& v) { return objective(wte, v); };
  EXPECT_TRUE(near(values(dwte), reference::central_differences(of_wte, wte), tolerance::embed.backward));
  EXPECT_TRUE(near(values(dwpe), reference::central_differences(of_wpe, wpe), tolerance::embed.backward));
}

TEST(Embed, BackwardAddsInTheOrderOfTheRows) {  // any other order would round differently somewhere
  const Shape s{20, 10, 3, 130};
  const std::vector<int32_t> ids = token_ids(s.rows(), s.vocabulary, 1);
  const Matrix<float> dx = random_matrix(s.rows(), s.channels, 2);
  const Matrix<float> dwte = random_matrix(s.vocabulary, s.channels, 3), dwpe = random_matrix(s.length, s.channels, 4);
  std::vector<float> token_sums = values(dwte), position_sums = values(dwpe);
  const std::vector<float> terms = values(dx);
  const auto C = static_cast<size_t>(s.channels), T = static_cast<size_t>(s.length);
  for (size_t n = 0; n < ids.size(); ++n)
    for (size_t c = 0; c < C; ++c) {
      token_sums[static_cast<size_t>(ids[n]) * C + c] += terms[n * C + c];
      position_sums[n % T * C + c] += terms[n * C + c];
    }
  embed_backward(Exec(), on_host(vector(ids)), s.length, dx, dwte, dwpe);
  EXPECT_TRUE(same_bits(values(dwte), token_sums));
  EXPECT_TRUE(same_bits(values(dwpe), position_sums));
}

}  // namespace
}  // namespace lawa
