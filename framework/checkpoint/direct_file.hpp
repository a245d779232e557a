// Weights files that are written straight to their bytes: one rank lays the file out and closes it, then every rank writes its
// own parts with plain system calls. No rank waits for another, no file stays open, so thousands can be under way at a time;
// parallel HDF5 would open each of them on all ranks together.
#pragma once
#include "checkpoint/flat_file.hpp"
#include "core/byte_file.hpp"

namespace lawa {

/// Creates `file` with everything in it but values and checksums. On one rank. Returns where /weights lies in it.
ArrayPlace lay_out_weights(const std::filesystem::path& file, const FlatHeader& header, NumberFormat format);

/// Writes elements [range.begin, …) and their checksums; begin is a multiple of 4096, the end too or P. Errors name the file.
void write_weights_part(const ByteFile& file, const ArrayPlace& place, Range range, std::span<const float> values);
/// The system begins to bring a part to the disk.
void begin_writing_back(const ByteFile& file, const ArrayPlace& place, Range range);

/// Two steps of reading a part back: it is brought to the disk and from there on its way into memory; then it is read, and its
/// checksums must verify. Errors: they don't.
void bring_weights_part_back(const ByteFile& file, const ArrayPlace& place, Range range);
void verify_weights_part(const ByteFile& file, const ArrayPlace& place, Range range);

}  // namespace lawa
