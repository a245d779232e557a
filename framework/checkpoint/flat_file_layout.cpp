#include "checkpoint/flat_file_layout.hpp"

#include "core/hash.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

namespace {

// What HDF5 1.10 adds to the numbers and texts, measured: of a file, of an array, of a tensor under /named.
constexpr int64_t file_books = 8192, array_books = 1024, tensor_books = 512;
constexpr const char *tokens_name = "trained_tokens", *former_tokens_name = "tokens";  // files written before have the second

Json to_json_with(const FlatHeader& header, const char* name_of_tokens) {
  return {{"kind", header.kind},         {"step", header.step},
          {name_of_tokens, header.trained_tokens}, {"trajectory_hash", header.trajectory_hash},
          {"config_hash", header.config_hash},     {"git", header.git},
          {"table", header.table.to_json()},       {"config", header.config},
          {"provenance", header.provenance}};
}

}  // namespace

Json FlatHeader::to_json() const { return to_json_with(*this, tokens_name); }

int64_t expected_bytes(const FlatHeader& header, const std::vector<ArraySpec>& arrays) {
  const auto texts = header.table.to_json().dump().size() + header.config.size() + header.provenance.dump().size();
  int64_t bytes = file_books + static_cast<int64_t>(texts);
  for (const ArraySpec& array : arrays) {
    bytes += array_books + header.table.size() * bytes_of(array.format) + 8 * detail::block_count(header.table.size());
    if (array.name == "weights") bytes += tensor_books * std::ssize(header.table.parameters());
  }
  return bytes;
}

namespace detail {
namespace {

using h5::Handle;

constexpr hsize_t alignment_bytes = 4096, aligned_from_bytes = 65536;  // arrays begin at pages, small things anywhere

/// A contiguous array whose place in the file is fixed now and whose values come later.
void create_array(hid_t file, const std::string& path, const std::string& name, hid_t type, int64_t size) {
  const Handle space = h5::space(static_cast<hsize_t>(size)), creation = h5::properties(H5P_DATASET_CREATE);
  const Handle links = h5::properties(H5P_LINK_CREATE);
  LAWA_H5(path, H5Pset_obj_track_times(creation, false));
  LAWA_H5(path, H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY));
  LAWA_H5(path, H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER));
  LAWA_H5(path, H5Pset_create_intermediate_group(links, 1));
  const Handle dataset(LAWA_H5(path, H5Dcreate2(file, name.c_str(), type, space, links, creation, H5P_DEFAULT)), H5Dclose);
}

/// /named/<tensor>: the tensor's shape over its elements of /weights in the same file.
void create_named(hid_t file, const std::string& path, const ParameterTable& table, NumberFormat format) {
  const Handle type = h5::number_type(format);
  const Handle links = h5::properties(H5P_LINK_CREATE);
  LAWA_H5(path, H5Pset_create_intermediate_group(links, 1));
  for (const Parameter& parameter : table.parameters()) {
    const std::vector<hsize_t> shape(parameter.shape.begin(), parameter.shape.end());
    const Handle space(LAWA_H5(path, H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr)), H5Sclose);
    const Handle source = h5::selection(static_cast<hsize_t>(table.size()), static_cast<hsize_t>(parameter.offset),
                                        static_cast<hsize_t>(parameter.offset + parameter.size()));
    const Handle creation = h5::properties(H5P_DATASET_CREATE);
    LAWA_H5(path, H5Pset_obj_track_times(creation, false));
    LAWA_H5(path, H5Pset_virtual(creation, space, ".", "/weights", source));
    const Handle dataset(LAWA_H5(path, H5Dcreate2(file, ("/named/" + parameter.name).c_str(), type, space, links, creation, H5P_DEFAULT)),
                         H5Dclose);
  }
}

std::string header_digest(const FlatHeader& header, const char* name_of_tokens) {
  return hash128(to_json_with(header, name_of_tokens).dump());
}

}  // namespace

std::string checksums_name(const std::string& array) { return "/checksums/" + array; }
int64_t block_count(int64_t size) { return (size + block_size - 1) / block_size; }

void lay_out(const std::filesystem::path& path, const FlatHeader& header, const std::vector<ArraySpec>& arrays) {
  const std::string name = path.string();
  const Handle access = h5::properties(H5P_FILE_ACCESS);
  LAWA_H5(name, H5Pset_alignment(access, aligned_from_bytes, alignment_bytes));
  const Handle file(LAWA_H5(name, H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access)), H5Fclose);
  h5::write_attribute(file, name, "kind", header.kind);
  h5::write_attribute(file, name, "step", header.step);
  h5::write_attribute(file, name, tokens_name, header.trained_tokens);
  h5::write_attribute(file, name, "trajectory_hash", header.trajectory_hash);
  h5::write_attribute(file, name, "config_hash", header.config_hash);
  h5::write_attribute(file, name, "git", header.git);
  h5::write_attribute(file, name, "header_digest", header_digest(header, tokens_name));
  h5::write_text(file, name, "/table", header.table.to_json().dump());
  h5::write_text(file, name, "/config", header.config);
  h5::write_text(file, name, "/provenance", header.provenance.dump());
  for (const ArraySpec& array : arrays) {
    create_array(file, name, checksums_name(array.name), H5T_STD_U64LE, block_count(header.table.size()));
    create_array(file, name, "/" + array.name, h5::number_type(array.format), header.table.size());
    if (array.name == "weights") create_named(file, name, header.table, array.format);
  }
}

FlatHeader read_header(hid_t file, const std::string& path, const std::string& kind) {
  LAWA_CHECK(H5Aexists(file, "header_digest") > 0, path, ": is HDF5, but not a file of this program");
  FlatHeader header;
  header.kind = h5::read_text_attribute(file, path, "kind");
  header.step = h5::read_integer_attribute(file, path, "step");
  const char* name_of_tokens = H5Aexists(file, former_tokens_name) > 0 ? former_tokens_name : tokens_name;
  header.trained_tokens = h5::read_integer_attribute(file, path, name_of_tokens);
  header.trajectory_hash = h5::read_text_attribute(file, path, "trajectory_hash");
  header.config_hash = h5::read_text_attribute(file, path, "config_hash");
  header.git = h5::read_text_attribute(file, path, "git");
  header.config = h5::read_text(file, path, "/config");
  try {
    header.table = ParameterTable::from_json(Json::parse(h5::read_text(file, path, "/table")), path);
    header.provenance = Json::parse(h5::read_text(file, path, "/provenance"));
    LAWA_CHECK(h5::read_text_attribute(file, path, "header_digest") == header_digest(header, name_of_tokens), path,
               ": the header is damaged (its digest doesn't verify)");
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, path, ": the header is damaged: ", error.what());
  }
  LAWA_CHECK(header.kind == kind, path, ": is a ", header.kind, " file, not a ", kind, " file");
  return header;
}

namespace {

/// Names of the datasets under /checksums, those of groups in it with their path.
std::vector<std::string> array_names(hid_t file, const std::string& path) {
  std::vector<std::string> names;
  const Handle group(LAWA_H5(path, H5Gopen2(file, "/checksums", H5P_DEFAULT)), H5Gclose);
  const auto collect = [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
    if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
#if H5_VERSION_GE(1, 10, 3)
  LAWA_H5(path, H5Ovisit2(group, H5_INDEX_NAME, H5_ITER_INC, collect, &names, H5O_INFO_BASIC));
#else
  LAWA_H5(path, H5Ovisit(group, H5_INDEX_NAME, H5_ITER_INC, collect, &names));
#endif
  return names;
}

int64_t offset_of(hid_t dataset) { return static_cast<int64_t>(H5Dget_offset(dataset)); }

}  // namespace

std::map<std::string, ArrayPlace> array_places(hid_t file, const std::string& path, int64_t size) {
  std::map<std::string, ArrayPlace> places;
  for (const std::string& name : array_names(file, path)) {
    const Handle values = open_array(file, path, "/" + name, size);
    const Handle sums = open_array(file, path, checksums_name(name), block_count(size));
    const Handle stored(LAWA_H5(path, H5Dget_type(sums)), H5Tclose);
    LAWA_CHECK(H5Tequal(stored, H5T_STD_U64LE) > 0, path, ": the checksums of /", name, " aren't uint64");
    places[name] = {h5::number_format(values, path, name.c_str()), offset_of(values), offset_of(sums)};
  }
  return places;
}

std::map<std::string, Range> byte_ranges(const std::filesystem::path& path) {
  const Handle file = h5::open_for_reading(path.string());
  std::map<std::string, Range> ranges;
  for (const std::string& name : array_names(file, path.string())) {
    const Handle values(LAWA_H5(path.string(), H5Dopen2(file, ("/" + name).c_str(), H5P_DEFAULT)), H5Dclose);
    h5::check_stored(values, path.string(), name.c_str());
    ranges[name] = {offset_of(values), offset_of(values) + static_cast<int64_t>(H5Dget_storage_size(values))};
  }
  return ranges;
}

h5::Handle open_array(hid_t file, const std::string& path, const std::string& name, int64_t size) {
  LAWA_CHECK(H5Lexists(file, name.c_str(), H5P_DEFAULT) > 0, path, ": has no array ", name);
  Handle dataset(LAWA_H5(path, H5Dopen2(file, name.c_str(), H5P_DEFAULT)), H5Dclose);
  const Handle space(LAWA_H5(path, H5Dget_space(dataset)), H5Sclose);
  const hssize_t found = LAWA_H5(path, H5Sget_simple_extent_npoints(space));
  LAWA_CHECK(found == size, path, ": ", name, " has ", found, " elements where ", size, " were expected");
  h5::check_stored(dataset, path, name.c_str());
  return dataset;
}

}  // namespace detail
}  // namespace lawa
