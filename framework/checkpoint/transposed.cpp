#include "checkpoint/transposed.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.hpp"

namespace lawa {
namespace {

constexpr int64_t tile_bytes = int64_t{1} << 20;

/// Some stored rows, of each the columns in which the run has numbers, and perhaps one more at either end.
struct Tile {
  Range rows, columns;
  std::vector<std::byte> bytes{};
};

/// f(tile) for tiles that cover a run, one after the other.
template <class F>
void for_each_tile(const TransposedRun& run, F&& f) {
  const auto [begin, end] = run.elements;
  if (begin == end) return;
  Tile tile{.rows = {}, .columns = {begin / run.rows, (end - 1) / run.rows + 1}};
  const int64_t row_bytes = tile.columns.size() * run.width, height = std::max<int64_t>(1, tile_bytes / row_bytes);
  for (int64_t row = 0; row < run.rows; row += height) {
    tile.rows = {row, std::min(row + height, run.rows)};
    tile.bytes.resize(static_cast<size_t>(tile.rows.size() * row_bytes));
    f(tile);
  }
}

/// f(byte of the file, bytes of the tile) for what lies in one piece in both and belongs to the run.
template <class F>
void for_each_piece(const TransposedRun& run, Tile& tile, F&& f) {
  const auto [begin, end] = run.elements;
  const auto piece = [&](int64_t row, int64_t column, int64_t count) {
    const int64_t in_tile = (row - tile.rows.begin) * tile.columns.size() + column - tile.columns.begin;
    f(run.offset + (row * run.columns + column) * run.width,
      std::span(tile.bytes).subspan(static_cast<size_t>(in_tile * run.width), static_cast<size_t>(count * run.width)));
  };
  if (begin == 0 && end == run.rows * run.columns) return piece(tile.rows.begin, 0, tile.rows.size() * run.columns);
  for (int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {  // element c * rows + row is the row's c-th
    const int64_t first = (begin - row + run.rows - 1) / run.rows, last = (end - row + run.rows - 1) / run.rows;
    if (first < last) piece(row, first, last - first);
  }
}

/// f(byte in the run, byte in the tile) for each number that both have; by ascending place in the run.
template <class F>
void for_each_number(const TransposedRun& run, const Tile& tile, F&& f) {
  const auto [begin, end] = run.elements;
  for (int64_t column = tile.columns.begin; column < tile.columns.end; ++column) {
    const Range rows = intersect(tile.rows, {begin - column * run.rows, end - column * run.rows});
    for (int64_t row = rows.begin; row < rows.end; ++row)
      f((column * run.rows + row - begin) * run.width, ((row - tile.rows.begin) * tile.columns.size() + column - tile.columns.begin) * run.width);
  }
}

/// f(integral constant) for the width of the run's numbers, so that each is moved by one instruction.
template <class F>
void with_width(const TransposedRun& run, F&& f) {
  if (run.width == 2) return f(std::integral_constant<size_t, 2>());
  if (run.width == 4) return f(std::integral_constant<size_t, 4>());
  LAWA_CHECK(run.width == 8, "numbers of ", run.width, " bytes");
  f(std::integral_constant<size_t, 8>());
}

}  // namespace

void read_transposed(const ByteFile& file, const TransposedRun& run, std::span<std::byte> out) {
  with_width(run, [&](auto width) {
    for_each_tile(run, [&](Tile& tile) {
      for_each_piece(run, tile, [&](int64_t place, std::span<std::byte> bytes) { file.read(place, bytes); });
      for_each_number(run, tile, [&](int64_t to, int64_t from) { std::memcpy(out.data() + to, tile.bytes.data() + from, width); });
    });
  });
}

void write_transposed(const ByteFile& file, const TransposedRun& run, std::span<const std::byte> in) {
  with_width(run, [&](auto width) {
    for_each_tile(run, [&](Tile& tile) {
      for_each_number(run, tile, [&](int64_t from, int64_t to) { std::memcpy(tile.bytes.data() + to, in.data() + from, width); });
      for_each_piece(run, tile, [&](int64_t place, std::span<std::byte> bytes) { file.write(place, bytes); });
    });
  });
}

}  // namespace lawa
