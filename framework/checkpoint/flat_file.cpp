#include "checkpoint/flat_file.hpp"

#include "checkpoint/hdf5.hpp"
#include "checkpoint/memory_file.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"

namespace lawa {
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

constexpr const char *tokens_name = "trained_tokens", *former_tokens_name = "tokens";  // files written before have the second

/// Of a header as it is written, or was, when the tokens had their former name.
std::string header_digest(const FlatHeader& header, const char* name_of_tokens) {
  const Json today = header.to_json();
  Json json = Json::object();
  for (const auto& [key, value] : today.items()) json[key == tokens_name ? name_of_tokens : key] = value;
  return hash128(json.dump());
}

std::string checksums_name(const std::string& array) { return "/checksums/" + array; }

void write_header(hid_t file, const std::string& path, const FlatHeader& header) {
  h5::write_attribute(file, path, "kind", header.kind);
  h5::write_attribute(file, path, "step", header.step);
  h5::write_attribute(file, path, tokens_name, header.trained_tokens);
  h5::write_attribute(file, path, "trajectory_hash", header.trajectory_hash);
  h5::write_attribute(file, path, "config_hash", header.config_hash);
  h5::write_attribute(file, path, "git", header.git);
  h5::write_attribute(file, path, "header_digest", header_digest(header, tokens_name));
  h5::write_text(file, path, "/table", header.table.to_json().dump());
  h5::write_text(file, path, "/config", header.config);
  h5::write_text(file, path, "/provenance", header.provenance.dump());
}

FlatHeader read_header(hid_t file, const std::string& path, const std::string& kind) {
  LAWA_CHECK(LAWA_H5(path, H5Aexists(file, "header_digest")) > 0, path, ": is HDF5, but not a file of this program");
  FlatHeader header;
  header.kind = h5::read_text_attribute(file, path, "kind");
  header.step = h5::read_integer_attribute(file, path, "step");
  const char* name_of_tokens = LAWA_H5(path, H5Aexists(file, former_tokens_name)) > 0 ? former_tokens_name : tokens_name;
  header.trained_tokens = h5::read_integer_attribute(file, path, name_of_tokens);
  header.trajectory_hash = h5::read_text_attribute(file, path, "trajectory_hash");
  header.config_hash = h5::read_text_attribute(file, path, "config_hash");
  header.git = h5::read_text_attribute(file, path, "git");
  header.config = h5::read_text(file, path, "/config");
  try {
    header.table = ParameterTable::from_json(parsed_json(h5::read_text(file, path, "/table"), path + ": the header is damaged"), path);
    header.provenance = parsed_json(h5::read_text(file, path, "/provenance"), path + ": the header is damaged");
    LAWA_CHECK(h5::read_text_attribute(file, path, "header_digest") == header_digest(header, name_of_tokens), path,
               ": the header is damaged (its digest doesn't verify)");
  } catch (const Json::exception& error) {
    fail(__FILE__, __LINE__, path, ": the header is damaged: ", error.what());
  }
  LAWA_CHECK(kind.empty() || header.kind == kind, path, ": is a ", header.kind, " file, not a ", kind, " file");
  return header;
}

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

/// One dataset, opened, with its length checked. Errors name the file and the dataset.
Handle open_array(hid_t file, const std::string& path, const std::string& name, int64_t size) {
  LAWA_CHECK(LAWA_H5(path, H5Lexists(file, name.c_str(), H5P_DEFAULT)) > 0, path, ": has no array ", name);
  Handle dataset(LAWA_H5(path, H5Dopen2(file, name.c_str(), H5P_DEFAULT)), H5Dclose);
  const Handle space(LAWA_H5(path, H5Dget_space(dataset)), H5Sclose);
  const hssize_t found = LAWA_H5(path, H5Sget_simple_extent_npoints(space));
  LAWA_CHECK(found == size, path, ": ", name, " has ", found, " elements where ", size, " were expected");
  h5::check_stored(dataset, path, name.c_str());
  return dataset;
}

/// Where the arrays over 0..P-1 lie. Errors: one has another length, isn't stored in one piece or holds something else than numbers.
std::map<std::string, Places> places_of_arrays(hid_t file, const std::string& path, int64_t size) {
  std::map<std::string, Places> places;
  for (const std::string& name : array_names(file, path)) {
    const Handle values = open_array(file, path, "/" + name, size);
    const Handle sums = open_array(file, path, checksums_name(name), block_count(size));
    const Handle stored(LAWA_H5(path, H5Dget_type(sums)), H5Tclose);
    LAWA_CHECK(H5Tequal(stored, H5T_STD_U64LE) > 0, path, ": the checksums of /", name, " aren't uint64");
    places[name] = {{{{0, size}, offset_of(values), h5::number_format(values, path, name.c_str())}}, offset_of(sums)};
  }
  return places;
}

/// The file, made by HDF5 in memory; errors name `path`.
std::map<std::string, Places> make_image(MemoryFile& image, const std::string& path, const FlatHeader& header,
                                         const std::vector<ArraySpec>& arrays) {
  const Handle access = h5::properties(H5P_FILE_ACCESS);
  LAWA_H5(path, H5Pset_alignment(access, aligned_from_bytes, alignment_bytes));
  h5::leave_locks_alone(access, path);
  Handle file(LAWA_H5(path, H5Fcreate(image.name().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access)), H5Fclose);
  image.forget_name();
  write_header(file, path, header);
  for (const ArraySpec& array : arrays) {
    create_array(file, path, checksums_name(array.name), H5T_STD_U64LE, block_count(header.table.size()));
    create_array(file, path, "/" + array.name, h5::number_type(array.format), header.table.size());
    if (array.name == "weights") create_named(file, path, header.table, array.format);
  }
  auto places = places_of_arrays(file, path, header.table.size());
  LAWA_H5(path, file.close());
  return places;
}

/// The bytes of an array's checksums.
Range checksums_of(const Places& places) {
  return {*places.checksums, *places.checksums + static_cast<int64_t>(sizeof(uint64_t)) * block_count(places.size())};
}

/// The bytes of the arrays' numbers.
std::map<std::string, Range> byte_ranges(const PlacedFile& file) {
  std::map<std::string, Range> ranges;
  for (const auto& [name, places] : file.arrays) {
    const int64_t begin = places.segments[0].offset;
    ranges[name] = {begin, begin + places.bytes({0, places.size()})};
  }
  return ranges;
}

/// What a file's name says that it is; "" where it says nothing.
std::string kind_by_name(const std::filesystem::path& path) {
  for (const std::string kind : {"weights", "state"})
    if (path.filename().string().ends_with("." + kind + ".h5")) return kind;
  return "";
}

}  // namespace

int64_t expected_bytes(const FlatHeader& header, const std::vector<ArraySpec>& arrays) {
  constexpr int64_t file_books = 8192, array_books = 1024, tensor_books = 512;  // what HDF5 1.10 adds, measured
  const auto texts = header.table.to_json().dump().size() + header.config.size() + header.provenance.dump().size();
  int64_t bytes = file_books + static_cast<int64_t>(texts);
  for (const ArraySpec& array : arrays) {
    bytes += array_books + header.table.size() * bytes_of(array.format) + 8 * block_count(header.table.size());
    if (array.name == "weights") bytes += tensor_books * std::ssize(header.table.parameters());
  }
  return bytes;
}

FlatHeader read_flat_header(const std::filesystem::path& path, const std::string& kind) {
  verify_by_record(path);  // HDF5 may crash on damage
  return read_header(h5::open_for_reading(path.string()), path.string(), kind);
}

PlacedFile open_flat_file(const std::filesystem::path& path, const std::string& kind) {
  LAWA_CHECK(std::filesystem::exists(path), path.string(), ": doesn't exist");
  check_is_file(path);
  const std::optional<FileRest> rest = verify_by_record(path);
  PlacedFile opened{.path = path, .header = {}, .arrays = {}};
  try {
    const Handle file = h5::open_for_reading(path.string());
    opened.header = read_header(file, path.string(), kind.empty() ? kind_by_name(path) : kind);
    opened.arrays = places_of_arrays(file, path.string(), opened.header.table.size());
  } catch (const h5::Failure& failure) {  // all bytes that HDF5 looks at are as their record says: the system has refused it to read them
    throw Error(failure.what(), failure.place, exit_error, rest.has_value());
  }
  if (opened.header.provenance.is_object()) opened.average = opened.header.provenance.value("average", Json());
  if (opened.arrays.contains("weights")) {
    const Range sums = checksums_of(opened.places("weights"));
    Digest digest;
    if (rest) digest.add(rest->at(sums));
    else add_file_bytes(digest, path, static_cast<uint64_t>(sums.begin), static_cast<uint64_t>(sums.end));
    opened.identity = opened.digest = digest.hex();
  }
  opened.own_words = opened.header.to_json();
  return opened;
}

PlacedFile lay_out_flat_file(const std::filesystem::path& path, FlatHeader header, const std::vector<ArraySpec>& arrays) {
  h5::be_quiet();
  PartGuard part(path);
  constexpr int64_t slack = 1 << 16;
  const int64_t bytes = expected_bytes(header, arrays);
  MemoryFile image(path, bytes + bytes / 100 + slack);
  PlacedFile file{.path = path, .header = std::move(header), .arrays = {}};
  file.arrays = make_image(image, path.string(), file.header, arrays);
  ByteFile made(part_of(path), ByteFile::Mode::create);
  image.copy_to(made);
  made.close();
  part.keep();
  return file;
}

FileRecord seal_flat_file(const PlacedFile& laid_out, const std::map<std::string, std::vector<uint64_t>>& checksums, bool durably) {
  {
    ByteFile file(part_of(laid_out.path), ByteFile::Mode::update);
    for (const auto& [name, sums] : checksums) {
      const Places& places = laid_out.places(name);
      LAWA_CHECK(std::ssize(sums) == block_count(places.size()), file.path().string(), ": ", sums.size(), " checksums for ",
                 places.size(), " numbers");
      file.write(*places.checksums, std::as_bytes(std::span(sums)));
    }
    file.close();
  }
  commit_file(laid_out.path, durably);
  return describe_file(laid_out.path, byte_ranges(laid_out));
}

}  // namespace lawa
