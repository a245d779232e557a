// Matrices that a file holds the other way round: read and written a tile at a time, in memory that doesn't grow with them.
#pragma once
#include <span>

#include "core/byte_file.hpp"
#include "core/range.hpp"

namespace lawa {

/// Some numbers of a matrix (columns, rows), one behind the other as it is row-major, of a file that holds it as (rows, columns).
struct TransposedRun {
  int64_t offset;         ///< the byte at which the stored matrix begins
  int64_t rows, columns;  ///< as it is stored
  Range elements;         ///< of the matrix that is wanted
  int64_t width;          ///< bytes of a number: 2, 4 or 8
};

/// The numbers' bytes, elements.size() * width of them. Errors: ByteFile's.
void read_transposed(const ByteFile& file, const TransposedRun& run, std::span<std::byte> out);
void write_transposed(const ByteFile& file, const TransposedRun& run, std::span<const std::byte> in);

}  // namespace lawa
