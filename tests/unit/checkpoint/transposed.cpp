// A matrix of whose transpose a file has the bytes: every run of it is read and written as if it lay there.
#include "checkpoint/transposed.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "support/temporary_directory.hpp"

namespace lawa {
namespace {

template <class T>
class Transposed : public testing::Test {
 protected:
  static constexpr int64_t rows = 5, columns = 7, offset = 3;
  const test::TemporaryDirectory folder;
  const ByteFile file = ByteFile(folder / "m", ByteFile::Mode::create);

  TransposedRun run(Range elements) const { return {offset, rows, columns, elements, sizeof(T)}; }
  static std::vector<T> numbers(T first) {
    std::vector<T> values(rows * columns);
    std::iota(values.begin(), values.end(), first);
    return values;
  }
  /// As it is wanted, (columns, rows), from what is stored, or the other way round.
  static std::vector<T> transposed(const std::vector<T>& stored) {
    std::vector<T> values;
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < rows; ++r) values.push_back(stored[static_cast<size_t>(r * columns + c)]);
    return values;
  }
  static std::span<T> part(std::vector<T>& values, Range range) {
    return std::span(values).subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.size()));
  }
};
using Types = testing::Types<uint16_t, float, double>;
TYPED_TEST_SUITE(Transposed, Types);

template <class F>
void for_each_run(int64_t size, F&& f) {
  for (int64_t begin = 0; begin <= size; ++begin)
    for (int64_t end = begin; end <= size; ++end) f(Range{begin, end});
}

TYPED_TEST(Transposed, EveryRunIsRead) {
  const auto stored = this->numbers(1);
  this->file.write(this->offset, std::as_bytes(std::span(stored)));
  auto wanted = this->transposed(stored);
  const ByteFile reading(this->folder / "m", ByteFile::Mode::read);
  for_each_run(std::ssize(wanted), [&](Range range) {
    std::vector<TypeParam> found(static_cast<size_t>(range.size()));
    read_transposed(reading, this->run(range), std::as_writable_bytes(std::span(found)));
    EXPECT_TRUE(std::ranges::equal(found, this->part(wanted, range))) << range.begin << " " << range.end;
  });
}

TYPED_TEST(Transposed, EveryRunIsWrittenAndNothingElse) {
  const auto before = this->numbers(1), stored = this->numbers(100);
  auto expected = this->transposed(before), wanted = this->transposed(stored);
  for_each_run(std::ssize(wanted), [&](Range range) {
    const ByteFile created(this->folder / "new", ByteFile::Mode::create);
    created.write(this->offset, std::as_bytes(std::span(before)));
    write_transposed(created, this->run(range), std::as_bytes(this->part(wanted, range)));
    auto now = expected;
    std::ranges::copy(this->part(wanted, range), now.begin() + range.begin);
    std::vector<TypeParam> found(now.size());
    ByteFile(this->folder / "new", ByteFile::Mode::read).read(this->offset, std::as_writable_bytes(std::span(found)));
    EXPECT_EQ(this->transposed(found), now) << range.begin << " " << range.end;
  });
}

TEST(Transposed, MatricesLargerThanATile) {
  constexpr int64_t rows = 3000, columns = 300;
  const test::TemporaryDirectory folder;
  std::vector<float> stored(rows * columns), found(stored.size());
  std::iota(stored.begin(), stored.end(), 0.0f);
  ByteFile(folder / "m", ByteFile::Mode::create).write(0, std::as_bytes(std::span(stored)));
  const ByteFile file(folder / "m", ByteFile::Mode::read);
  for (const Range range : {Range{0, rows * columns}, Range{17, rows * columns - 1}}) {
    const auto some = std::span(found).first(static_cast<size_t>(range.size()));
    read_transposed(file, {0, rows, columns, range, sizeof(float)}, std::as_writable_bytes(some));
    for (int64_t i = range.begin; i < range.end; ++i)
      ASSERT_EQ(some[static_cast<size_t>(i - range.begin)], static_cast<float>(i % rows * columns + i / rows));
  }
}

}  // namespace
}  // namespace lawa
