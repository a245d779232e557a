#include <gmock/gmock.h>

#include "support/errors.hpp"
#include "support/fixtures.hpp"
#include "support/near.hpp"
#include "tensor/bf16.hpp"
#include "tensor/cursor.hpp"
#include "tensor/device.hpp"

namespace lawa {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Slice, OfAVectorSharesItsMemory) {
  const Vector<float> x = vector<float>({0, 1, 2, 3, 4});
  const Vector<float> middle = slice(x, {1, 4});
  EXPECT_THAT(values(middle), ElementsAre(1, 2, 3));
  set(middle, {10.f, 20.f, 30.f});
  EXPECT_THAT(values(x), ElementsAre(0, 10, 20, 30, 4));
  EXPECT_EQ(rows(slice(x, {5, 5})), 0);
}

TEST(Slice, OfAMatrixIsRowsOfIt) {
  const Matrix<float> x = matrix<float>(3, 2, {0, 1, 10, 11, 20, 21});
  EXPECT_THAT(values(slice(x, {1, 3})), ElementsAre(10, 11, 20, 21));
  EXPECT_EQ(columns(slice(x, {3, 3})), 2);
}

TEST(Slice, RefusesRangesOutsideAndNamesThem) {
  const Vector<float> x = zeros<float>("x", 5);
  const Matrix<float> y("y", 5, 3);
  for (const Range wrong : {Range{-1, 2}, Range{3, 6}, Range{3, 2}, Range{6, 6}}) {
    const std::string named = concat("[", wrong.begin, ", ", wrong.end, ") of 5");
    EXPECT_THAT(error_of([&] { slice(x, wrong); }), HasSubstr(named));
    EXPECT_THAT(error_of([&] { slice(y, wrong); }), HasSubstr(named));
  }
}

TEST(Copy, ReplacesEveryElementAndLeavesTheSource) {
  const Vector<float> from = random_vector(100, 1), to = zeros<float>("to", 100);
  copy(to, from);
  EXPECT_TRUE(same_bits(values(to), normals(100, 1)));
  fill(Exec(), to, 3.f);
  EXPECT_TRUE(same_bits(values(to), std::vector<float>(100, 3)));
  EXPECT_TRUE(same_bits(values(from), normals(100, 1)));
}

TEST(Copy, RefusesDifferentLengths) {
  const Vector<float> from = zeros<float>("from", 4), to = zeros<float>("to", 5);
  EXPECT_THAT(error_of([&] { copy(to, from); }), HasSubstr("copy of 4 elements into 5"));
}

TEST(Cursor, HandsOutPartsOneAfterTheOther) {
  const Vector<float> buffer = random_vector(11, 2);
  Cursor at(buffer.data());
  const Vector<float> first = at.vector<float>(3);
  const Matrix<float> second = at.matrix<float>(2, 4);
  EXPECT_EQ(first.data(), buffer.data());
  EXPECT_EQ(second.data(), buffer.data() + 3);
  EXPECT_EQ(rows(second), 2);
  EXPECT_EQ(columns(second), 4);
  EXPECT_EQ(at.used(), 11 * 4);
}

TEST(Cursor, HandsOutPartsOfDifferentTypes) {
  const Vector<float> buffer = random_vector(11, 2);
  Cursor at(buffer.data());
  const Matrix<bf16> first = at.matrix<bf16>(2, 3);
  const Vector<float> second = at.vector<float>(2);
  const Vector<bf16> third = at.vector<bf16>(5);
  EXPECT_EQ(static_cast<void*>(first.data()), buffer.data());
  EXPECT_EQ(second.data(), buffer.data() + 3);
  EXPECT_EQ(static_cast<void*>(third.data()), buffer.data() + 5);
  EXPECT_EQ(columns(first), 3);
  EXPECT_EQ(rows(third), 5);
  EXPECT_EQ(at.used(), 5 * 4 + 5 * 2);
}

TEST(Cursor, BeginsPartsAtMultiplesOfTheAlignment) {
  const Vector<float> buffer = zeros<float>("buffer", 64);
  Cursor at(buffer.data(), 64);
  EXPECT_EQ(at.vector<float>(1).data(), buffer.data());
  EXPECT_EQ(at.vector<float>(16).data(), buffer.data() + 16);
  EXPECT_EQ(at.vector<float>(0).data(), buffer.data() + 32);
  EXPECT_EQ(static_cast<void*>(at.vector<bf16>(1).data()), buffer.data() + 32);
  EXPECT_EQ(at.vector<float>(5).data(), buffer.data() + 48);
  EXPECT_EQ(at.used(), 53 * 4);  // no gap behind the last part
}

TEST(Cursor, MeasuresWhatItMaps) {
  const auto layout = [](Cursor at) {
    at.vector<float>(5);
    at.matrix<bf16>(3, 7);
    at.vector<char>(2);
    at.vector<float>(1);
    return at.used();
  };
  const Vector<float> buffer = zeros<float>("buffer", 100);
  for (const int64_t alignment : {1, 4, 64})
    EXPECT_EQ(layout(Cursor(nullptr, alignment)), layout(Cursor(buffer.data(), alignment)));
  EXPECT_EQ(Cursor(nullptr, 64).vector<float>(5).data(), nullptr);
}

TEST(Device, KnowsItsNameAndItsPeakMemory) {
  EXPECT_FALSE(device_name().empty());
  const Vector<float> some = zeros<float>("some", 1 << 20);
  fill(Exec(), some, 1.f);
  EXPECT_GT(peak_memory_bytes(), 4e6);  // at least those 4 MiB
  EXPECT_LT(peak_memory_bytes(), 1e12);
}

}  // namespace
}  // namespace lawa
