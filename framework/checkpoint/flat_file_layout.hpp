// How the datasets of a flat file lie in it. Inside checkpoint only.
#pragma once
#include "checkpoint/flat_file.hpp"
#include "checkpoint/hdf5.hpp"

namespace lawa::detail {

/// Creates the file with everything in it but the values of the arrays and their checksums. On one rank.
void lay_out(const std::filesystem::path& path, const FlatHeader& header, const std::vector<ArraySpec>& arrays);

/// Reads and verifies what lay_out() wrote.
FlatHeader read_header(hid_t file, const std::string& path, const std::string& kind);

/// Where the arrays over 0..P-1 lie, by their names. Errors: an array that has another length, isn't stored in one piece or holds
/// something else than numbers.
std::map<std::string, ArrayPlace> array_places(hid_t file, const std::string& path, int64_t size);
/// The bytes of a closed file that hold each array's values.
std::map<std::string, Range> byte_ranges(const std::filesystem::path& path);

std::string checksums_name(const std::string& array);
/// Blocks of `size` elements.
int64_t block_count(int64_t size);

/// One dataset, opened, with its length checked. Errors name the file and the dataset.
h5::Handle open_array(hid_t file, const std::string& path, const std::string& name, int64_t size);

}  // namespace lawa::detail
